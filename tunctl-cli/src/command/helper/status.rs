//! `tunctl helper status`: whether the helper is installed, and would work.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tunctl_helper::policy::{self, Policy, PolicyError};

use super::{Done, place, write};
use crate::command::{Outcome, complain, output};

/// Show whether the helper is installed, and whether its file and its policy are in order
///
/// It needs no privilege. Exit status: 0 if the helper would work, 1 if not.
#[derive(Args)]
pub(super) struct ShowStatus {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// What is known of the helper and its policy.
#[derive(Serialize)]
pub(in super::super) struct Status {
    pub(in super::super) helper: HelperStatus,
    pub(in super::super) policy: PolicyStatus,
}

#[derive(Serialize)]
pub(in super::super) struct HelperStatus {
    /// Where it is installed.
    pub(in super::super) path: Option<&'static Path>,
    /// What keeps it from working, with what to do.
    pub(in super::super) problem: Option<String>,
}

#[derive(Serialize)]
pub(in super::super) struct PolicyStatus {
    pub(in super::super) path: &'static str,
    /// How many rules it has, if it is accepted.
    pub(in super::super) rules: Option<usize>,
    pub(in super::super) problem: Option<String>,
}

impl Status {
    /// Examines both. The policy is the one that was read.
    pub(in super::super) fn of(policy: &Result<Policy, PolicyError>) -> Self {
        let path = place::installed();
        let problem = match path {
            Some(path) => place::check(path).err(),
            None => Some("it is not installed. Install it: sudo tunctl helper install".into()),
        };
        Self {
            helper: HelperStatus { path, problem },
            policy: PolicyStatus {
                path: policy::PATH,
                rules: policy.as_ref().ok().map(|policy| policy.rules.len()),
                problem: policy.as_ref().err().map(ToString::to_string),
            },
        }
    }

    pub(in super::super) fn is_sound(&self) -> bool {
        self.helper.problem.is_none() && self.policy.problem.is_none()
    }
}

impl HelperStatus {
    pub(in super::super) fn in_words(&self) -> String {
        match (&self.problem, self.path) {
            (Some(problem), _) => format!("problem: {problem}"),
            (None, path) => format!("{} is in order", path.unwrap_or(Path::new(place::INSTALLED)).display()),
        }
    }
}

impl PolicyStatus {
    pub(in super::super) fn in_words(&self) -> String {
        match (&self.problem, self.rules.unwrap_or_default()) {
            (Some(problem), _) => format!("problem: {problem}"),
            (None, 0) => format!("{} has no rule: it allows nothing", self.path),
            (None, 1) => format!("{} is in order, and has one rule", self.path),
            (None, rules) => format!("{} is in order, and has {rules} rules", self.path),
        }
    }
}

impl ShowStatus {
    pub(super) fn run(&self) -> Outcome<ExitCode> {
        let status = Status::of(&Policy::read());
        if self.json {
            output::json(&status)?;
        } else {
            let Status { helper, policy } = &status;
            write(&[Done::new("helper", helper.in_words()), Done::new("policy", policy.in_words())])?;
        }
        if status.is_sound() {
            return Ok(ExitCode::SUCCESS);
        }
        complain(&"the helper does not work here");
        Ok(ExitCode::FAILURE)
    }
}
