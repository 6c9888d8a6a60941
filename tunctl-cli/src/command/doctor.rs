//! `tunctl doctor`.

mod driver;
mod files;
mod finding;
mod managers;
mod names;
mod queues;
mod rights;
mod trial;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use tunctl::{InterfaceName, Native};

use super::arguments::existing;
use super::{Outcome, complain, output};
use files::Files;
use finding::{Finding, Verdict};

/// Examine what works here, what does not, and what to do about it
///
/// A line for each thing that was examined: the driver and its node, the rights of this user, namespaces to
/// try things in, programs that would take an interface over, and the interfaces that there are. "problem" is
/// something that does not work for this user, "note" something to know, "ok" the rest. It changes nothing:
/// packets pass only within a namespace of its own, which ends with it.
///
/// Exit status: 0 if there is no problem, 1 if there is one.
#[derive(Args)]
pub(super) struct Doctor {
    /// Names of interfaces to be: is one taken, and would another program configure it?
    #[arg(value_parser = existing(), value_name = "NAME")]
    names: Vec<InterfaceName>,
    /// Print a JSON object: whether it works, and what was found
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    works: bool,
    findings: &'a [Finding],
}

impl Doctor {
    /// `elsewhere`: the backend is in another network namespace than the caller.
    pub(super) fn run(self, backend: &Native, elsewhere: bool) -> Outcome<ExitCode> {
        let findings = examine(backend, &self.names, elsewhere);
        let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
        if self.json {
            output::json(&Report { works: problems == 0, findings: &findings })?;
        } else {
            write(&findings)?;
        }
        Ok(match problems {
            0 => ExitCode::SUCCESS,
            count => {
                let plural = if count == 1 { "" } else { "s" };
                complain(&format_args!("not everything works here for this user ({count} problem{plural})"));
                ExitCode::FAILURE
            }
        })
    }
}

fn examine(backend: &Native, names: &[InterfaceName], elsewhere: bool) -> Vec<Finding> {
    let files = Files::at("/");
    // First, since it may load the driver.
    let obstacles = backend.obstacles();
    let node_is_open = !obstacles.iter().any(rights::is_about_the_node);
    let container = tunctl::linux::in_container();
    let driver = driver::finding(&files, container);
    let mut findings = rights::findings(backend, &files, &obstacles, driver, container);
    findings.extend(trial::findings(backend, node_is_open));
    findings.extend(names::findings(backend, names));
    if !elsewhere {
        findings.extend(managers::findings(&files, &managers::candidates(backend, names)));
    }
    findings.extend(queues::findings(backend));
    findings
}

fn write(findings: &[Finding]) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    let width = output::width();
    for finding in findings {
        finding.write(width, &mut output)?;
    }
    output.flush()
}
