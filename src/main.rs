//! `ccms`: parse the command line and do what it says.
use std::process::ExitCode;

use ccms::boot::BROKEN_EXIT_CODE;
use ccms::cli::{Cli, Command};
use ccms_store::StoreError;
use clap::Parser;

fn main() -> ExitCode {
    // Two libraries sign and encrypt; both take the same provider, once per process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let Cli { config, command } = Cli::parse();
    let result = match command.unwrap_or(Command::Serve) {
        Command::Serve => ccms::cli::serve(&config),
        Command::CheckConfig => ccms::cli::check_config(&config),
        Command::Admin(command) => ccms::cli::admin(&config, &command),
        Command::ApiKey(command) => ccms::cli::api_key(&config, &command),
        Command::Device(command) => ccms::cli::device(&config, &command),
        Command::Keys(command) => ccms::cli::keys(&config, &command),
        Command::Audit(command) => ccms::cli::audit(&config, &command),
        Command::Backup(args) => ccms::cli::backup(&config, &args),
        Command::Restore(args) => ccms::cli::restore(&config, &args),
        Command::Verify(args) => ccms::cli::verify(&config, &args),
        Command::Archive(command) => ccms::cli::archive(&config, &command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ccms: {error:#}");
            let broken = error.chain().any(|e| matches!(e.downcast_ref(), Some(StoreError::Broken(_))));
            if broken { ExitCode::from(BROKEN_EXIT_CODE) } else { ExitCode::FAILURE }
        }
    }
}
