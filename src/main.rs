//! `ccms`: parse the command line and do what it says.
use std::process::ExitCode;

use ccms::cli::{Cli, Command};
use clap::Parser;

fn main() -> ExitCode {
    // Two libraries sign and encrypt; both take the same provider, once per process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let result = match Cli::parse().command {
        Command::Serve(args) => ccms::cli::serve(&args),
        Command::CheckConfig(args) => ccms::cli::check_config(&args),
        Command::Admin(args) => ccms::cli::admin(&args),
        Command::Device(args) => ccms::cli::device(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ccms: {error:#}");
            ExitCode::FAILURE
        }
    }
}
