"""Which media store stands behind the port: a folder, or a bucket."""

from inbox.adapters.media.obstore import Bucket, ObstoreMediaStore
from inbox.main.runtime import Runtime
from inbox.main.settings import SettingsError


def open_media_store(runtime: Runtime) -> ObstoreMediaStore:
    """The store that the settings choose. Raises `SettingsError` for a bucket without its keys."""
    settings = runtime.settings.media
    if settings.bucket is None:
        return ObstoreMediaStore.in_folder(runtime.data_dir / "media")
    if settings.access_key_id is None or settings.secret_access_key is None:
        raise SettingsError("INBOX_MEDIA_BUCKET needs INBOX_MEDIA_ACCESS_KEY_ID and INBOX_MEDIA_SECRET_ACCESS_KEY.")
    return ObstoreMediaStore.in_bucket(
        Bucket(
            name=settings.bucket,
            region=settings.region,
            endpoint=settings.endpoint,
            access_key_id=settings.access_key_id.reveal(),
            secret_access_key=settings.secret_access_key.reveal(),
        )
    )
