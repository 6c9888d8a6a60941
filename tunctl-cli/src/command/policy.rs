//! `tunctl policy`: what the helper's policy allows.

mod account;
mod check;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use tunctl_helper::policy::EXAMPLE;

use super::Outcome;

/// Explain what users may create through the helper, or print an example of a policy
///
/// The policy is /etc/tunctl/policy.toml, which only root can write. What no rule of it allows is denied.
#[derive(Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Check(check::Check),
    Example(Example),
}

/// Print a policy that allows nothing, and shows in comments what a rule can say
#[derive(Args)]
struct Example {}

impl Policy {
    pub(super) fn run(self) -> Outcome<ExitCode> {
        match self.action {
            Action::Check(check) => return check.run(),
            Action::Example(Example {}) => io::stdout().write_all(EXAMPLE.as_bytes())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
