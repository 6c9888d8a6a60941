//! `tunctl show` and `tunctl list`.

use std::io::{self, BufWriter, Write};

use clap::Args;
use tunctl::{InterfaceName, Native, TunBackend};

use super::Outcome;
use super::arguments::existing;
use super::properties::Report;
use super::{output, reports};

/// Show one TUN/TAP interface
#[derive(Args)]
pub(super) struct Show {
    /// The interface
    #[arg(value_parser = existing())]
    name: InterfaceName,
    /// Count its packets too: those from the program that has it open, and those to it
    #[arg(long)]
    stats: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let report = reports::one(&backend.interface(&self.name)?, self.stats)?;
        let written =
            if self.json { output::json(&report) } else { report.write_long(&mut io::stdout().lock()) };
        Ok(written?)
    }
}

/// List the TUN/TAP interfaces of this network namespace
#[derive(Args)]
pub(super) struct List {
    /// Count the packets of each, too
    #[arg(long, requires = "json")]
    stats: bool,
    /// Print a JSON array of the objects that `show --json` prints
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let reports = reports::all(backend, self.stats)?;
        if self.json {
            output::json(&reports)?;
        } else if reports.is_empty() {
            writeln!(
                io::stdout(),
                "no TUN/TAP interface in this network namespace (tunctl create makes one)"
            )?;
        } else {
            // In pieces of some kilobytes, where standard output alone would write each line by itself.
            let mut output = BufWriter::new(io::stdout().lock());
            Report::write_table(&reports, &mut output)?;
            output.flush()?;
        }
        Ok(())
    }
}
