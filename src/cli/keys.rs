//! `ccms keys …`: the keys that sign device tokens, at the command line.
use ccms_core::time::UtcMillis;
use ccms_service::Absences;
use ccms_service::keys::ring::overlap_s;
use ccms_service::keys::{MasterKey, Ring};
use ccms_store::DynStore;
use clap::Subcommand;
use serde_json::json;

use super::{ConfigArgs, audit_entry, with_store};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Sign with a new key from now on. Tokens signed with older ones stay good until they are over; no device notices.
    Rotate,
    /// List the keys by name; what is secret is not shown.
    List,
}

pub fn keys(args: &ConfigArgs, command: &KeysCommand) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let (path, now) = (config.token_keys_file(), config.clock().now());
    let overlap_s = overlap_s(config.settings().silence_s);
    match command {
        KeysCommand::Rotate => {
            let ring = with_store(args, async |config, store| rotate(&config, &store).await)?;
            println!("Key {} signs from now on.", ring.newest().kid);
            print(&ring, overlap_s, now);
        }
        KeysCommand::List => match Ring::load(&path)? {
            Some(ring) => print(&ring, overlap_s, now),
            None => println!("There are no keys yet; the server makes the first one when it starts."),
        },
    }
    Ok(())
}

/// A file and a database have no transaction in common. The entry is committed first, then the file is replaced: there may
/// be an entry without its rotation (a power cut in between, or a full disk, which a second entry tells), never a rotation
/// that nobody recorded.
async fn rotate(config: &Config, store: &DynStore) -> anyhow::Result<Ring> {
    let (path, overlap_s) = (config.token_keys_file(), overlap_s(config.settings().silence_s));
    let master = MasterKey::load_or_create(&config.master_key_file())?;
    let now = config.clock().now();
    let absences = Absences::known(store, now).await?;
    let rotation = Ring::begin_rotation(&path, &master, overlap_s, now, |from| absences.elapsed_ms(from, now))?;
    let kid = rotation.ring().newest().kid.clone();
    let verifying: Vec<&str> = rotation.ring().keys().map(|(key, _)| key.kid.as_str()).collect();
    let entry = |action, particulars| audit_entry(config, action, &format!("token key {kid}"), particulars);
    store.write_audit(&entry("keys.rotate", json!({"kid": kid, "keys": verifying}))).await?;
    match rotation.finish() {
        Ok(ring) => Ok(ring),
        Err(error) => {
            store.write_audit(&entry("keys.rotate_failed", json!({"kid": kid, "error": error.to_string()}))).await?;
            Err(error.into())
        }
    }
}

fn print(ring: &Ring, overlap_s: i64, now: UtcMillis) {
    for (key, replaced_at) in ring.keys() {
        let role = match replaced_at {
            None => "signs".to_owned(),
            Some(at) if now.since(at) <= overlap_s * 1000 => format!("verifies until {}", at.plus_seconds(overlap_s)),
            Some(_) => "is over".to_owned(),
        };
        println!("{:<8} made {}  {role}", key.kid, key.created_at);
    }
}
