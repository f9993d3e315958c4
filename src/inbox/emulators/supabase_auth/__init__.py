"""Supabase Auth (GoTrue) as an application of its own: for demo, tests, benchmarks, users without a project."""

from inbox.emulators.supabase_auth.app import create_app
from inbox.emulators.supabase_auth.config import RefreshForm, SeedUser, Signing, SupabaseAuthConfig

__all__ = ["RefreshForm", "SeedUser", "Signing", "SupabaseAuthConfig", "create_app"]
