//! `ccms audit …`: the record of who did what. Each entry's hash covers the one before it, so that nothing can be changed,
//! removed or put in between unseen.
use anyhow::{anyhow, bail};
use ccms_service::verify::audit_chain;
use ccms_store::DynStore;
use clap::Subcommand;

use super::{ConfigArgs, with_store};

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Walk the whole chain. Ends with an error, and the number of the entry, where it is broken. Keep the printed hash:
    /// a later run proves with --expect that nothing before it was cut off or rewritten.
    Verify {
        /// A hash that an earlier run printed; it must occur in the chain.
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
    },
    /// Print the newest entries, newest first.
    List {
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
}

pub fn audit(args: &ConfigArgs, command: &AuditCommand) -> anyhow::Result<()> {
    with_store(args, async |_, store| match command {
        AuditCommand::Verify { expect } => verify(&store, expect.as_deref()).await,
        AuditCommand::List { limit } => list(&store, *limit).await,
    })
}

async fn verify(store: &DynStore, expect: Option<&str>) -> anyhow::Result<()> {
    let mut met = expect.is_none();
    let walked = audit_chain(store, |entry| met = met || entry.hash.as_ref().map(hex).as_deref() == expect).await?;
    let (count, at) =
        walked.map_err(|no| anyhow!("the audit log was changed: entry {no} does not follow from the one before it"))?;
    if !met {
        bail!("the audit log was changed: the expected hash does not occur in it");
    }
    println!("{count} entries, the chain is whole. It ends with {}", hex(&at));
    Ok(())
}

async fn list(store: &DynStore, limit: u32) -> anyhow::Result<()> {
    for entry in store.audit(limit).await? {
        println!("{}  {:<28} {:<24} {}  {}", entry.at, entry.actor, entry.action, entry.target, entry.detail);
    }
    Ok(())
}

fn hex(hash: &[u8; 32]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}
