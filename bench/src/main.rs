//! Measures ours beside other libraries, and beside what the kernel takes without any.
//!
//! It measures, it doesn't judge: the exit status is 0 whether or not a goal is met, and 1 if something could
//! not be measured.

#![forbid(unsafe_code)]

mod chart;
mod compare;
mod results;
mod sections;
mod statistics;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use crate::sections::packets::{mock, soak};
use crate::sections::{ALL, Section};

const HELP: &str = "\
cargo xtask bench [[--section] NAME]... [--seconds N]
cargo xtask bench --mock | --soak | --mock --soak [--seconds N]

  --section NAME  measure this section only; all of them, if none is named
  --seconds N     measure each section for so long (20)
  --mock          measure the mock instead, which needs no namespace
  --soak          active mode with more packets than its consumer takes: is each of them accounted for?

The tables go to standard output, the figures to target/bench/latest.json, and a chart of the ratios to
target/bench/latest.svg.

Sections:
";

/// Where the results are left, from the root of the workspace.
const RESULTS: &str = "target/bench";

struct Options {
    time: Duration,
    sections: Vec<&'static Section>,
    mock: bool,
    soak: bool,
}

impl Options {
    /// `None`: they are not understood, or ask for help.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let time = Duration::from_secs(20);
        let mut options = Self { time, sections: Vec::new(), mock: false, soak: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--mock" => options.mock = true,
                "--soak" => options.soak = true,
                "--section" => options.sections.push(section(&arguments.next()?)?),
                "--seconds" => {
                    let seconds = arguments.next()?.parse().ok()?;
                    options.time = Duration::try_from_secs_f64(seconds).ok()?;
                }
                name => options.sections.push(section(name)?),
            }
        }
        let is_whole = options.sections.is_empty();
        if is_whole {
            options.sections = ALL.iter().collect();
        }
        // The mock and a soak have no sections.
        (is_whole || !(options.mock || options.soak)).then_some(options)
    }
}

fn section(name: &str) -> Option<&'static Section> {
    ALL.iter().find(|section| section.name == name)
}

fn help() -> String {
    let sections = ALL.iter().map(|section| format!("  {:<14}{}\n", section.name, section.about));
    sections.fold(HELP.to_owned(), |help, line| help + &line)
}

fn main() -> ExitCode {
    let arguments = || std::env::args().skip(1);
    if arguments().any(|argument| argument == "--help" || argument == "-h") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(options) = Options::parse(arguments()) else {
        eprint!("{}", help());
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
    if options.soak || options.sections.iter().any(|section| section.has_interfaces) {
        tunctl_linux::netns::enter_new().map_err(|error| error.to_string())?;
    }
    if options.soak {
        println!("{}", soak::kernel(options.time)?);
        return Ok(());
    }
    let mut measured = Vec::new();
    for section in &options.sections {
        eprintln!("{}: measuring for {:?} …", section.name, options.time);
        let rows = (section.run)(options.time)?;
        println!("{}", results::table(section.name, &rows));
        measured.push((section.name, rows));
    }
    let all = || measured.iter().flat_map(|(section, rows)| rows.iter().map(move |row| (*section, row)));
    let list: Vec<_> = all().map(|(section, row)| results::json(section, row)).collect();
    write("latest.json", &format!("{:#}\n", serde_json::Value::from(list)))?;
    write("latest.svg", &chart::of(all()))
}

fn write(name: &str, text: &str) -> Result<(), String> {
    let path = format!("{RESULTS}/{name}");
    fs::create_dir_all(RESULTS)
        .and_then(|()| fs::write(&path, text))
        .map_err(|error| format!("write {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<(f64, Vec<&'static str>)> {
        let options = Options::parse(arguments.iter().map(ToString::to_string))?;
        let sections = options.sections.iter().map(|section| section.name);
        Some((options.time.as_secs_f64(), sections.collect()))
    }

    #[test]
    fn options_are_understood_or_refused() {
        let all: Vec<_> = ALL.iter().map(|section| section.name).collect();
        assert_eq!(parse(&[]), Some((20.0, all)));
        assert_eq!(parse(&["--section", "flows", "--seconds", "2.5"]), Some((2.5, vec!["flows"])));
        assert_eq!(parse(&["flows"]), parse(&["--section", "flows"]));
        for wrong in [
            &["--seconds"][..],
            &["--seconds", "-1"],
            &["--seconds", "x"],
            &["--section", "x"],
            &["--section", "flows", "--mock"],
            &["20"],
        ] {
            assert_eq!(parse(wrong), None);
        }
    }
}
