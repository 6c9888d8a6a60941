//! Wrong usage: what clap says, made safe for a terminal.

use std::env;
use std::io::{self, Write};
use std::process;

use clap::Parser;
use tunctl::Escaped;

/// The parsed command line. If it is wrong, the program ends here.
pub(super) fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| {
        let harmless = |text: &str| Escaped::new(text).to_string() == text;
        if env::args_os().all(|argument| argument.to_str().is_some_and(harmless)) {
            error.exit();
        }
        // The message quotes an argument that a terminal would not show as it is.
        for line in error.render().to_string().lines() {
            let _ = writeln!(io::stderr(), "{}", Escaped::new(line));
        }
        process::exit(error.exit_code())
    })
}
