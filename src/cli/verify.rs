//! `ccms verify`: is everything that is kept what it must be? Of the database in use, beside a running server, or of a backup.
use std::path::PathBuf;

use anyhow::bail;
use ccms_service::verify::{Report, look_through};
use ccms_store::Day;
use clap::Args;

use super::backup::look_at;
use super::{ConfigArgs, runtime};
use crate::backup::Manifest;
use crate::boot;
use crate::config::Config;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Look at a backup in this folder instead of the database in use.
    #[arg(long, value_name = "FOLDER")]
    pub backup: Option<PathBuf>,
    /// Do not read the files of archived days.
    #[arg(long)]
    pub without_archive: bool,
}

pub fn verify(args: &ConfigArgs, VerifyArgs { backup, without_archive }: &VerifyArgs) -> anyhow::Result<()> {
    let report = runtime()?.block_on(async {
        if let Some(folder) = backup {
            return of_backup(folder).await;
        }
        let config = Config::load(args)?;
        let store = boot::open_to_read(&config).await?;
        let report = async {
            let archived = !store.archived_days(Day(i32::MIN), Day(i32::MAX), 1).await?.is_empty();
            // A database that knows of no file may be older than the folder is.
            let is_there = archived || config.storage.archive_url.is_some() || config.data_dir.join("archive").exists();
            let shelf = if is_there && !without_archive { Some(config.shelf()?) } else { None };
            let shelf = shelf.as_ref().map(|shelf| (shelf, config.clock().now()));
            Ok::<_, anyhow::Error>(look_through(&store, shelf).await?)
        }
        .await;
        store.close().await;
        report
    })?;
    print(&report);
    if report.found > 0 {
        bail!("{} things are wrong", report.found);
    }
    println!("Everything is as it must be.");
    Ok(())
}

/// The checksums first: what they find, nothing below can explain.
async fn of_backup(folder: &std::path::Path) -> anyhow::Result<Report> {
    let manifest = Manifest::read(folder)?;
    let damages = manifest.damages(folder);
    if !damages.is_empty() {
        bail!("the backup is damaged: {}", damages.join("; "));
    }
    let mut report = look_at(folder).await?;
    for (name, count) in &report.counts {
        match manifest.counts.get(*name) {
            Some(listed) if listed != count => {
                report.findings.push(format!("{name}: {count}, but the list says {listed}"));
                report.found += 1;
            }
            _ => {}
        }
    }
    println!("A backup of {} by release {}.", manifest.made_at, manifest.version);
    Ok(report)
}

pub(super) fn print(report: &Report) {
    println!("{}", report.engine);
    for (name, count) in &report.counts {
        println!("{count:>12}  {name}");
    }
    for line in &report.looked_at {
        println!("Looked through {line}.");
    }
    for finding in &report.findings {
        println!("WRONG: {finding}");
    }
    let unsaid = report.found - report.findings.len() as u64;
    if unsaid > 0 {
        println!("... and {unsaid} more");
    }
}
