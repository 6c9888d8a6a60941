//! Wrong usage: what clap says, made safe for a terminal and more helpful.

use std::env;
use std::io::{self, Write};
use std::process;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use tunctl::Escaped;

/// What people type for a subcommand, from other programs.
const SYNONYMS: [(&str, &[&str]); 11] = [
    ("create", &["add", "new", "make", "mk", "open"]),
    ("delete", &["del", "rm", "remove", "destroy"]),
    ("doctor", &["check", "diagnose", "diagnostics", "troubleshoot"]),
    ("down", &["stop", "disable"]),
    ("events", &["follow", "notify"]),
    ("pump", &["bridge", "connect", "forward", "join", "netem", "relay", "wire"]),
    ("run", &["exec", "with"]),
    ("set", &["change", "modify", "config", "rename", "mtu"]),
    ("show", &["info", "get", "status"]),
    ("up", &["start", "enable"]),
    ("watch", &["capture", "dump", "monitor", "sniff", "tcpdump"]),
];

/// The same for the subcommands of subcommands.
const OF_HELPER: [(&str, &[&str]); 3] = [
    ("install", &["add", "setup", "enable", "update", "upgrade"]),
    ("status", &["check", "show", "info", "doctor"]),
    ("uninstall", &["remove", "rm", "delete", "del", "disable"]),
];
const OF_POLICY: [(&str, &[&str]); 2] = [
    ("check", &["explain", "show", "list", "status", "test"]),
    ("example", &["template", "sample", "new", "init"]),
];

/// The parsed command line. If it is wrong, the program ends here.
pub(super) fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| {
        let error = with_synonym(error);
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

/// Suggests the subcommand that a wrong one is another word for.
fn with_synonym(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let synonyms: &[(&str, &[&str])] = if usage.contains("tunctl helper") {
        &OF_HELPER
    } else if usage.contains("tunctl policy") {
        &OF_POLICY
    } else {
        &SYNONYMS
    };
    let meant = synonyms.iter().find(|(_, words)| words.contains(&wrong.as_str()));
    if let Some(&(meant, _)) = meant {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![meant.to_owned()]));
    }
    error
}
