//! What the programs that compare have in common: their command line, and how they end.

use std::process::ExitCode;

/// Runs a comparison, as its command line says.
///
/// `parse` makes settings of the words, or `None` if help is asked for.
pub(crate) fn main<S>(
    name: &str,
    help: &str,
    parse: impl FnOnce(&mut dyn Iterator<Item = String>) -> Result<Option<S>, String>,
    run: impl FnOnce(&S) -> Result<(), String>,
) -> ExitCode {
    let settings = match parse(&mut std::env::args().skip(1)) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("{name}: {why}\n\n{help}");
            return ExitCode::from(2);
        }
    };
    match run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{name}: {why}");
            ExitCode::FAILURE
        }
    }
}
