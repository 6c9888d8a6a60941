//! `tunctl features`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use clap::Args;
use tunctl::Native;
use tunctl::linux::{Feature, Features as Found, Presence};

use super::{Outcome, output};

/// Show what the kernel's TUN/TAP driver can do
///
/// It asks the running kernel, and leaves no trace. Where the system permits no namespace to ask in, some of
/// it is unknown.
#[derive(Args)]
pub(super) struct Features {
    /// Print a JSON object: each feature with true, false, or null if it is unknown
    #[arg(long)]
    json: bool,
}

impl Features {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let found = backend.features()?;
        Ok(if self.json { output::json(&object(&found)) } else { write(&found, io::stdout().lock()) }?)
    }
}

fn object(found: &Found) -> BTreeMap<String, Option<bool>> {
    let value = |presence| match presence {
        Presence::Present => Some(true),
        Presence::Absent => Some(false),
        Presence::Unknown => None,
    };
    found.iter().map(|(feature, presence)| (feature.to_string(), value(presence))).collect()
}

fn write(found: &Found, mut to: impl Write) -> io::Result<()> {
    for presence in [Presence::Present, Presence::Absent, Presence::Unknown] {
        let of_it: Vec<Feature> =
            found.iter().filter(|(_, its)| *its == presence).map(|(feature, _)| feature).collect();
        if of_it.is_empty() {
            continue;
        }
        let mut line = output::Columns::new(output::width(), 9);
        line.push(0, &format!("{presence:7}"), format_args!("{presence:7}"));
        for (position, feature) in of_it.iter().map(Feature::to_string).enumerate() {
            line.push(if position == 0 { 2 } else { 1 }, &feature, &feature);
        }
        writeln!(to, "{}", line.finish())?;
    }
    if found.iter().any(|(_, presence)| presence == Presence::Unknown) {
        writeln!(
            to,
            "To ask about the unknown ones takes a network namespace, which this system does not permit to \
             this user: run it with sudo."
        )?;
    }
    Ok(())
}
