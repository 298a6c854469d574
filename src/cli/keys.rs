//! `ccms keys …`: the keys that sign device tokens, at the command line.
use anyhow::Context;
use ccms_core::time::UtcMillis;
use ccms_service::keys::ring::overlap_s;
use ccms_service::keys::{MasterKey, Ring};
use clap::Subcommand;

use super::ConfigArgs;
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
            std::fs::create_dir_all(&config.data_dir)
                .with_context(|| format!("making the data directory {}", config.data_dir.display()))?;
            let master = MasterKey::load_or_create(&config.master_key_file())?;
            let ring = Ring::rotate(&path, &master, overlap_s, now)?;
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
