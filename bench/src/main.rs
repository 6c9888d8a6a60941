//! Measures what one `recv` and one `send` cost: raw system calls, ours, and other libraries, side by side.
//!
//! It measures, it doesn't judge: the exit status is 0 whether or not the goal is met, and 1 if something
//! could not be measured.

#![forbid(unsafe_code)]

mod devices;
mod figures;
mod methods;
mod mock;
mod raw;
mod report;
mod rounds;
mod soak;
mod statistics;
mod task;
mod traffic;

use std::process::ExitCode;
use std::time::Duration;

use crate::devices::Devices;
use crate::figures::Figures;

const HELP: &str = "\
cargo xtask bench [--seconds N] [--json | --soak] [--mock]

  --seconds N  measure for so long (20)
  --mock       measure the mock instead, which needs no namespace
  --soak       active mode with more packets than its consumer takes: is each of them accounted for?
  --json       one JSON object a line on standard output; the table then goes to standard error

Measures recv and send of one packet a call, on TUN interfaces in a new user and network namespace.
";

struct Options {
    time: Duration,
    json: bool,
    mock: bool,
    soak: bool,
}

impl Options {
    /// `None`: they are not understood, or ask for help.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { time: Duration::from_secs(20), json: false, mock: false, soak: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => options.json = true,
                "--mock" => options.mock = true,
                "--soak" => options.soak = true,
                "--seconds" => {
                    let seconds = arguments.next()?.parse().ok()?;
                    options.time = Duration::try_from_secs_f64(seconds).ok()?;
                }
                _ => return None,
            }
        }
        // Of the mock, and of a soak, there is text only.
        (!(options.json && (options.mock || options.soak))).then_some(options)
    }
}

fn main() -> ExitCode {
    let arguments = || std::env::args().skip(1);
    if arguments().any(|argument| argument == "--help" || argument == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let Some(options) = Options::parse(arguments()) else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    if options.mock {
        let run = if options.soak { soak::mock } else { mock::run };
        println!("{}", run(options.time)?);
        return Ok(());
    }
    tunctl_linux::netns::enter_new().map_err(|error| error.to_string())?;
    traffic::settle_namespace();
    if options.soak {
        println!("{}", soak::kernel(options.time)?);
        return Ok(());
    }
    let devices = Devices::open()?;
    let subjects = devices.subjects();
    eprintln!("measuring for {:?} …", options.time);
    let measurement = rounds::run(&subjects, options.time).map_err(|error| {
        format!("{error}. Try again on a quieter machine; if it stays so, strace shows what the calls do.")
    })?;
    let figures = Figures::new(&subjects, &measurement).ok_or("nothing was measured")?;
    let text = report::text(&figures, &measurement);
    if options.json {
        eprintln!("{text}");
        for line in report::json(&figures, &measurement) {
            println!("{line}");
        }
    } else {
        println!("{text}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<(f64, bool)> {
        let options = Options::parse(arguments.iter().map(ToString::to_string))?;
        Some((options.time.as_secs_f64(), options.json))
    }

    #[test]
    fn options_are_understood_or_refused() {
        assert_eq!(parse(&[]), Some((20.0, false)));
        assert_eq!(parse(&["--json", "--seconds", "2.5"]), Some((2.5, true)));
        for wrong in [
            &["--seconds"][..],
            &["--mock", "--json"],
            &["--soak", "--json"],
            &["--seconds", "-1"],
            &["--seconds", "x"],
            &["20"],
        ] {
            assert_eq!(parse(wrong), None);
        }
    }
}
