//! `ccms api-key …`: keys with which other systems use the REST API, at the command line.
use anyhow::bail;
use ccms_service::{Scope, api_keys};
use ccms_store::DynStore;
use clap::Subcommand;

use super::{ConfigArgs, with_store};
use crate::config::Config;

/// Who is recorded to have done it.
const ACTOR: &str = "command line";

#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key and print it. It is shown this once: only its hash is kept.
    Create {
        /// What the key is for; commands and the audit log name it.
        #[arg(long)]
        name: String,
        /// read looks; command also switches lights and takes care of alerts; admin may everything, in the whole city only.
        #[arg(long, required = true, value_delimiter = ',', value_parser = parse_scope)]
        scopes: Vec<Scope>,
        /// Sees and commands only the lights of this zone.
        #[arg(long)]
        zone: Option<String>,
    },
    /// List keys, revoked ones too.
    List,
    /// Revoke a key. A running server refuses it within two seconds.
    Revoke {
        #[arg(long)]
        name: String,
    },
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text.trim()).ok_or_else(|| "a scope is read, command or admin".to_owned())
}

pub fn api_key(args: &ConfigArgs, command: &ApiKeyCommand) -> anyhow::Result<()> {
    with_store(args, async |config, store| api_key_command(&config, &store, command).await)
}

async fn api_key_command(config: &Config, store: &DynStore, command: &ApiKeyCommand) -> anyhow::Result<()> {
    let now = config.clock().now();
    match command {
        ApiKeyCommand::Create { name, scopes, zone } => {
            let mut scopes = scopes.clone();
            scopes.sort_by_key(|scope| Scope::ALL.iter().position(|s| s == scope));
            scopes.dedup();
            let key = api_keys::create(store, ACTOR, now, name, &scopes, zone.clone()).await?;
            // The key alone goes to standard output, so that a script can keep it.
            eprintln!("The key {name:?}. It is shown this once:");
            println!("{key}");
        }
        ApiKeyCommand::List => {
            for key in store.api_keys().await? {
                let state = key.revoked_at.map_or("in force".to_owned(), |at| format!("revoked {at}"));
                let zone = key.zone.as_deref().unwrap_or("whole city");
                println!("{:<32} {:<20} {:<20} made {}  {state}", key.name, key.scopes, zone, key.created_at);
            }
        }
        ApiKeyCommand::Revoke { name } => {
            if !api_keys::revoke(store, ACTOR, now, name).await? {
                bail!("no key in force is called {name:?}; `ccms api-key list` shows all");
            }
            println!("The key {name:?} is revoked.");
        }
    }
    Ok(())
}
