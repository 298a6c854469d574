//! `ccms admin …`: people who sign in, at the command line.
use std::io::Read;

use anyhow::{Context, bail};
use ccms_service::{Role, people};
use ccms_store::{DynStore, UserRecord};
use clap::Subcommand;
use serde_json::json;

use super::{ConfigArgs, audit_entry, with_store};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make a person who can sign in.
    Create {
        #[arg(long)]
        email: String,
        /// Read the password from standard input (one line).
        #[arg(long, required = true)]
        password_stdin: bool,
        #[arg(long, default_value = "operator", value_parser = Role::parse_named)]
        role: Role,
        /// Sees and commands only the lights of this zone.
        #[arg(long)]
        zone: Option<String>,
    },
    /// List people with role and zone.
    List,
    /// Change what a person may do. Sessions that are open follow at once.
    SetRole {
        #[arg(long)]
        email: String,
        #[arg(long, value_parser = Role::parse_named)]
        role: Role,
        /// Without it the person sees the whole city.
        #[arg(long)]
        zone: Option<String>,
    },
    /// Set a new password and end every session of the person.
    ResetPassword {
        #[arg(long)]
        email: String,
        /// Read the password from standard input (one line).
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// End every session of a person.
    SignOut {
        #[arg(long)]
        email: String,
    },
}

pub fn admin(args: &ConfigArgs, command: &AdminCommand) -> anyhow::Result<()> {
    with_store(args, async |config, store| admin_command(&config, &store, command).await)
}

async fn admin_command(config: &Config, store: &DynStore, command: &AdminCommand) -> anyhow::Result<()> {
    match command {
        AdminCommand::Create { email, role, zone, .. } => {
            let new = people::new_user(email, &password()?, *role, zone.clone(), config.clock().now())?;
            let particulars = json!({"role": role.as_str(), "zone": zone});
            let audit = audit_entry(config, "person.create", &new.email, particulars);
            let user = store.create_user(new, &audit).await?;
            println!("Created {} with role {}.", user.email, role.as_str());
        }
        AdminCommand::List => {
            for user in store.users().await? {
                println!(
                    "{:<40} {:<11} {}",
                    user.email,
                    user.role.as_str(),
                    user.zone.as_deref().unwrap_or("whole city")
                );
            }
        }
        AdminCommand::SetRole { email, role, zone } => {
            let user = existing(store, email).await?;
            let particulars = json!({"role": role.as_str(), "zone": zone, "before": user.role.as_str()});
            let audit = audit_entry(config, "person.change", &user.email, particulars);
            store.change_user(user.id, *role, zone.clone(), &audit).await?;
            println!("{} is now {}.", user.email, role.as_str());
        }
        AdminCommand::ResetPassword { email, .. } => {
            let user = existing(store, email).await?;
            let hash = people::hash_password(&password()?)?;
            let audit = audit_entry(config, "person.password", &user.email, json!({}));
            let ended = store.change_password(user.id, &hash, &audit).await?.unwrap_or_default();
            println!("{} has a new password; {ended} sessions ended.", user.email);
        }
        AdminCommand::SignOut { email } => {
            let user = existing(store, email).await?;
            let audit = audit_entry(config, "person.sign_out", &user.email, json!({}));
            let ended = store.delete_sessions_of(user.id, &audit).await?.unwrap_or_default();
            println!("{ended} sessions of {} ended.", user.email);
        }
    }
    Ok(())
}

async fn existing(store: &DynStore, email: &str) -> anyhow::Result<UserRecord> {
    match store.user_by_email(email).await? {
        Some(user) => Ok(user),
        None => bail!("nobody signs in as {email}; `ccms admin list` shows who does"),
    }
}

fn password() -> anyhow::Result<String> {
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password).context("reading the password from standard input")?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}
