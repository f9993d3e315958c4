// Subscribes as the existing front ends do, and prints one JSON line for each thing that happens. Ends when its input does.
import { createClient } from "@supabase/supabase-js";

const plan = JSON.parse(process.argv[2]);
const tell = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));
const client = createClient(plan.url, "any key", { auth: { persistSession: false, autoRefreshToken: false } });
await client.realtime.setAuth(plan.token);

const open = (name, listeners) => {
  let channel = client.channel(name);
  for (const filter of listeners) {
    channel = channel.on("postgres_changes", { schema: "public", ...filter }, (payload) =>
      tell("change", { channel: name, event: payload.eventType, table: payload.table, row: payload.new }),
    );
  }
  channel.subscribe((status, error) => tell(status, { channel: name, error: error?.message }));
};

open(`messages:${plan.conversation}`, [
  { event: "INSERT", table: "messages", filter: `conversation_id=eq.${plan.conversation}` },
  { event: "UPDATE", table: "messages", filter: `conversation_id=eq.${plan.conversation}` },
]);
open(`conversations:${plan.account}`, [
  { event: "UPDATE", table: "conversations", filter: `account_id=eq.${plan.account}` },
]);
open("messages:foreign", [{ event: "*", table: "messages", filter: `conversation_id=eq.${plan.foreign}` }]);
process.stdin.on("end", () => process.exit(0)).resume();
