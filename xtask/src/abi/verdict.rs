//! What the compiler says of each row.

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The headers have the same.
    Proved,
    /// They have another value, if the compiler told it.
    Wrong(Option<u64>),
    /// They don't have it, and why.
    Unknown(String),
}

/// Reads what clang complains of a file with a row on each line, from the first one on.
pub(super) fn read(complaints: &str, file: &str, first_line: usize, count: usize) -> Vec<Verdict> {
    let mut verdicts = vec![Verdict::Proved; count];
    for (line, kind, text) in complaints.lines().filter_map(|complaint| located(complaint, file)) {
        let Some(verdict) = line.checked_sub(first_line).and_then(|row| verdicts.get_mut(row)) else {
            continue;
        };
        match (kind, &verdict) {
            ("error", Verdict::Proved) if text.starts_with("static assertion failed") => {
                *verdict = Verdict::Wrong(None);
            }
            ("error", Verdict::Proved) => *verdict = Verdict::Unknown(text.to_owned()),
            ("note", Verdict::Wrong(None)) => *verdict = Verdict::Wrong(theirs(text)),
            _ => {}
        }
    }
    verdicts
}

/// `FILE:LINE:COLUMN: KIND: TEXT`; of the path, the compiler may show an end only.
fn located<'a>(complaint: &'a str, file: &str) -> Option<(usize, &'a str, &'a str)> {
    let mut parts = complaint.splitn(5, ':');
    let [shown, line, _, kind, text] = [(); 5].map(|()| parts.next().unwrap_or_default());
    if shown.is_empty() || !file.ends_with(shown) {
        return None;
    }
    Some((line.parse().ok()?, kind.trim(), text.trim()))
}

/// The left side of `expression evaluates to '144 == 32'`.
fn theirs(note: &str) -> Option<u64> {
    let (_, comparison) = note.split_once('\'')?;
    let (left, _) = comparison.split_once(" == ")?;
    left.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_row() {
        let complaints = "\
abi/x.c:10:16: error: static assertion failed due to requirement '(unsigned long long)(sizeof(struct ifreq)) == 33ULL': r
   10 | _Static_assert(...
abi/x.c:10:59: note: expression evaluates to '144 == 33'
abi/x.c:12:37: error: use of undeclared identifier 'NOPE'
abi/x.c:12:40: error: expected expression
/include/y.h:11:24: note: expanded from macro 'offsetof'
abi/x.c:13:37: error: static assertion failed
abi/x.c:99:1: error: no row
";
        let verdicts = read(complaints, "/target/abi/x.c", 10, 4);
        let unknown = Verdict::Unknown("use of undeclared identifier 'NOPE'".into());
        assert_eq!(verdicts, [Verdict::Wrong(Some(144)), Verdict::Proved, unknown, Verdict::Wrong(None)]);
    }
}
