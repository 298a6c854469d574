//! `ccms archive …`: days that were moved to Parquet files. Everything here works beside a running server: reading a file
//! that is replaced meanwhile looks up the next one, and restoring says first that the day's blocks are wanted, which no run
//! of the archive goes against (`ccms_service::archiving`).
use anyhow::{Context, bail};
use ccms_core::time::UtcMillis;
use ccms_service::archiving::shelf::Shelf;
use ccms_service::archiving::verify::Verified;
use ccms_service::archiving::{adopt, date, restore, verify};
use ccms_store::{Day, DynStore};
use clap::Subcommand;
use serde_json::json;

use super::{ConfigArgs, audit_entry, with_store};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Print every archived day, newest first: readings, lights, bytes, file and revision. Then the files that no record names.
    List,
    /// Take files into the database that no record names, the newest of a day that has none or an older one: after an older backup of
    /// the database was put back. Each is read as a whole first.
    Adopt {
        /// Only this day, as 2025-12-31 (UTC).
        #[arg(long, value_parser = day)]
        day: Option<Day>,
    },
    /// Read the files from the first byte to the last and compare them with what the database says of them. Ends with an
    /// error when something is wrong, and names the file.
    Verify {
        /// Only this day, as 2025-12-31 (UTC).
        #[arg(long, value_parser = day)]
        day: Option<Day>,
    },
    /// Bring days back into the database. Their files stay. May be repeated, also after an interruption.
    Restore {
        /// The first day, as 2025-12-31 (UTC).
        #[arg(long, value_parser = day)]
        day: Day,
        /// The last day; only the first when absent.
        #[arg(long, value_parser = day)]
        to: Option<Day>,
        /// They stay in the database for so many days from now; then they leave it again by themselves.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        keep_days: u32,
    },
}

pub fn archive(args: &ConfigArgs, command: &ArchiveCommand) -> anyhow::Result<()> {
    with_store(args, async |config, store| match command {
        ArchiveCommand::List => list(&config, &store).await,
        ArchiveCommand::Adopt { day } => adopt_files(&config, &store, *day).await,
        ArchiveCommand::Verify { day } => verify_files(&config, &store, *day).await,
        ArchiveCommand::Restore { day, to, keep_days } => {
            restore_days(&config, &store, (*day, to.unwrap_or(*day)), *keep_days).await
        }
    })
}

async fn list(config: &Config, store: &DynStore) -> anyhow::Result<()> {
    println!("{:<10} {:>12} {:>8} {:>14} {:>3}  file", "day", "readings", "lights", "bytes", "rev");
    for day in store.archived_days(Day(i32::MIN), Day(i32::MAX), u32::MAX).await? {
        let kept = match day.kept_until {
            Some(until) if day.restored => format!("  (in the database too, until {until})"),
            Some(until) => format!("  (being restored; wanted until {until})"),
            None => String::new(),
        };
        println!(
            "{:<10} {:>12} {:>8} {:>14} {:>3}  {}{kept}",
            date(day.day),
            day.readings,
            day.lights,
            day.bytes,
            day.revision,
            day.file
        );
    }
    let mut strays = Verified::default();
    verify::look_at_strays(store, &config.shelf()?, config.clock().now(), &mut strays).await?;
    tell_of_strays(&strays);
    strays.findings.iter().for_each(|finding| println!("{finding}"));
    Ok(())
}

/// Of those with which nothing is wrong.
fn tell_of_strays(strays: &Verified) {
    for file in &strays.young {
        println!("{file}: the database does not know it yet; a server may be about to record it");
    }
    for (file, until) in &strays.replaced {
        println!("{file}: another took its place; it is kept until {until}");
    }
    for file in &strays.spare {
        println!("{file}: nothing needs it any more; a running server removes it");
    }
}

async fn adopt_files(config: &Config, store: &DynStore, day: Option<Day>) -> anyhow::Result<()> {
    let done = adopt::adopt(store, &config.shelf()?, day, "command line", config.clock().now()).await?;
    for record in &done.days {
        println!(
            "{}: {} readings of {} lights, from {}.",
            date(record.day),
            record.readings,
            record.lights,
            record.file
        );
    }
    println!("{} days were taken in.", done.days.len());
    done.left.iter().for_each(|left| println!("{left}"));
    if done.left.is_empty() { Ok(()) } else { bail!("{} files were left where they are", done.left.len()) }
}

async fn verify_files(config: &Config, store: &DynStore, day: Option<Day>) -> anyhow::Result<()> {
    let done = verify::verify(store, &config.shelf()?, day, config.clock().now()).await?;
    if let Some(day) = day.filter(|_| done.days == 0) {
        bail!("{} is not archived; `ccms archive list` shows which days are", date(day));
    }
    tell_of_strays(&done);
    for finding in &done.findings {
        println!("{finding}");
    }
    println!("{} days with {} readings are as they were written.", done.days - done.damaged, done.readings);
    if done.findings.is_empty() { Ok(()) } else { bail!("the archive has {} findings", done.findings.len()) }
}

async fn restore_days(config: &Config, store: &DynStore, (from, to): (Day, Day), keep_days: u32) -> anyhow::Result<()> {
    if to < from {
        bail!("--to is before --day");
    }
    let shelf: Shelf = config.shelf()?;
    let days = store.archived_days(from, to, u32::MAX).await?;
    if days.is_empty() {
        bail!("nothing of that is archived; `ccms archive list` shows what is");
    }
    let until = config.clock().now().plus_seconds(i64::from(keep_days) * 86_400);
    for record in days.into_iter().rev() {
        let (name, particulars) = (date(record.day), json!({"keep_until": until.to_string()}));
        let audit = audit_entry(config, "archive.restore", &name, particulars);
        let done = restore::restore(store, &shelf, record.day, until, &audit).await;
        match done.with_context(|| format!("restoring {name}"))? {
            Some(done) => {
                println!("{name}: {} readings of {} lights are back until {until}.", done.readings, done.lights)
            }
            None => println!("{name}: its file was deleted meanwhile."),
        }
    }
    Ok(())
}

/// `2025-12-31`.
fn day(text: &str) -> Result<Day, String> {
    let begins = UtcMillis::parse_lenient(&format!("{text}T00:00:00Z"));
    let day = begins.map(Day::of).filter(|day| date(*day) == text);
    day.ok_or_else(|| format!("{text:?} is no day like 2025-12-31"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_in_one_way() {
        assert_eq!(day("2025-12-17"), Ok(Day(20_439)));
        assert_eq!(day("1970-01-01"), Ok(Day(0)));
        for bad in ["2025-2-3", "2025-02-30", "yesterday", "", "2025-12-17T00:00:00Z"] {
            assert!(day(bad).is_err(), "{bad}");
        }
    }
}
