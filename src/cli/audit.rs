//! `ccms audit …`: the record of who did what. Each entry's hash covers the one before it, so that nothing can be changed,
//! removed or put in between unseen.
use anyhow::bail;
use ccms_store::DynStore;
use ccms_store::audit_chain::{CHAIN_START, walk};
use clap::Subcommand;

use super::{ConfigArgs, with_store};

/// Entries read at once.
const PAGE: u32 = 1_000;

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
    let (mut at, mut last, mut count, mut met) = (CHAIN_START, 0, 0u64, expect.is_none());
    loop {
        let page = store.audit_chain(last, PAGE).await?;
        let Some(end) = page.last() else { break };
        at = match walk(at, &page) {
            Ok(hash) => hash,
            Err(no) => bail!("the audit log was changed: entry {no} does not follow from the one before it"),
        };
        met = met || page.iter().filter_map(|e| e.hash).any(|hash| Some(hex(&hash).as_str()) == expect);
        last = end.no;
        count += page.len() as u64;
    }
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
