//! What was found, and how it is printed.

use std::io::{self, Write};

use serde::Serialize;
use tunctl::{Error, Escaped};

use crate::command::{advice, output};

/// What was examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Check {
    Node,
    Driver,
    Rights,
    Namespaces,
    Packets,
    Features,
    Name,
    Managers,
    Queue,
}

/// What to make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Note,
    Problem,
}

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) verdict: Verdict,
    /// What is so, and why.
    pub(super) what: String,
    /// The cause of the library's error, by its name, if it is one's.
    pub(super) cause: Option<String>,
    pub(super) remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: Check, what: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, what: what.into(), cause: None, remedy: None }
    }

    pub(super) fn note(check: Check, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, remedy: Some(remedy.into()), ..Self::ok(check, what) }
    }

    pub(super) fn problem(check: Check, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, ..Self::note(check, what, remedy) }
    }

    /// What the library's own error says, divided at its remedy.
    pub(super) fn of(check: Check, verdict: Verdict, error: &Error) -> Self {
        let message = advice::message(error);
        let remedy = error.remedy().map(advice::in_operators_words);
        let what = remedy.as_ref().and_then(|remedy| message.strip_suffix(remedy.as_str()));
        let what = what.map_or(&*message, |what| what.trim_end().trim_end_matches('.')).to_owned();
        Self { check, verdict, what, cause: Some(format!("{:?}", error.cause())), remedy }
    }

    /// Writes it for people: a line, and one below it with what to do.
    pub(super) fn write(&self, width: usize, mut to: impl Write) -> io::Result<()> {
        const INDENT: usize = 21;
        let mut line = output::Columns::new(width, INDENT);
        for (gap, word, space) in [(0, name(&self.verdict)?, 7), (2, name(&self.check)?, 10)] {
            let word = format!("{word:space$}");
            line.push(gap, &word, &word);
        }
        // A file or an interface may have been given a name that a terminal obeys.
        line.push_words(2, &Escaped::new(&self.what).to_string());
        writeln!(to, "{}", line.finish())?;
        if let Some(remedy) = &self.remedy {
            let mut line = output::Columns::new(width, INDENT);
            line.push(0, &" ".repeat(INDENT), " ".repeat(INDENT));
            line.push_words(0, &Escaped::new(remedy).to_string());
            writeln!(to, "{}", line.finish())?;
        }
        Ok(())
    }
}

/// The name that it has in JSON.
fn name(of: &impl Serialize) -> io::Result<String> {
    match serde_json::to_value(of)? {
        serde_json::Value::String(name) => Ok(name),
        other => Ok(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tunctl::{Cause, Operation, Reason};

    use super::*;

    fn written(finding: &Finding, width: usize) -> String {
        let mut text = Vec::new();
        finding.write(width, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn an_error_is_divided_at_its_remedy() {
        let error = Reason::new(Cause::ClosedNode).with_errno(13).with_detail("it is closed");
        let error = error.with_remedy("Run it with sudo.").of(Operation::Create);
        let finding = Finding::of(Check::Node, Verdict::Problem, &error);
        assert_eq!(finding.what, "create: it is closed (Permission denied, os error 13)");
        assert_eq!(finding.remedy.as_deref(), Some("Run it with sudo."));
        assert_eq!(finding.cause.as_deref(), Some("ClosedNode"));
        let bare = Finding::of(Check::Queue, Verdict::Note, &Error::new(Operation::List, Cause::Other));
        assert_eq!((bare.what.as_str(), bare.remedy), ("list interfaces", None));
    }

    #[test]
    fn a_finding_is_one_line_and_its_remedy_another() {
        let finding = Finding::problem(Check::Node, "it is closed to all", "Open it.");
        let wide = "problem  node        it is closed to all\n                     Open it.\n";
        assert_eq!(written(&finding, usize::MAX), wide);
        let narrow = written(&finding, 33);
        assert!(
            narrow.starts_with("problem  node        it is closed\n                     to all\n"),
            "{narrow}"
        );
        let ok = Finding::ok(Check::Features, "a\x1b[31mb");
        assert_eq!(written(&ok, usize::MAX), "ok       features    a\\u{1b}[31mb\n");
    }
}
