//! `tunctl show` and `tunctl list`.

use std::io::{self, Write};

use clap::Args;
use tunctl::{Error, InterfaceName, TunBackend};

use super::Outcome;
use super::output;
use super::properties::Report;

/// Show one TUN/TAP interface
#[derive(Args)]
pub(super) struct Show {
    /// The interface
    name: InterfaceName,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn run(self) -> Outcome {
        let report = Report::of(&tunctl::native().interface(&self.name)?)?;
        let written =
            if self.json { output::json(&report) } else { report.write_long(&mut io::stdout().lock()) };
        Ok(written?)
    }
}

/// List the TUN/TAP interfaces of this network namespace
#[derive(Args)]
pub(super) struct List {
    /// Print a JSON array of the objects that `show --json` prints
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> Outcome {
        let mut reports = Vec::new();
        for interface in tunctl::native().interfaces()? {
            match Report::of(&interface) {
                Ok(report) => reports.push(report),
                // Deleted since it was listed.
                Err(error) if Error::is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.json {
            output::json(&reports)?;
        } else if reports.is_empty() {
            writeln!(
                io::stdout(),
                "no TUN/TAP interface in this network namespace (tunctl create makes one)"
            )?;
        } else {
            Report::write_table(&reports, &mut io::stdout().lock())?;
        }
        Ok(())
    }
}
