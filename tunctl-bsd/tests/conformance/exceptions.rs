//! Which cases do not concern a system.

/// The list, as it is written: a reason, under it the systems and the cases.
pub(crate) const OF_MODELS: &str = include_str!("exceptions.txt");
/// Further exceptions for the systems themselves, which provide less evidence than their models.
pub(crate) const OF_SYSTEMS: &str = include_str!("system.txt");

pub(crate) struct Exceptions {
    rows: Vec<Row>,
}

struct Row {
    /// Empty: all.
    systems: Vec<&'static str>,
    case: &'static str,
}

impl Exceptions {
    /// A line that is not indented is a reason. Under it, an indented line is a case, or `subject::*`, with
    /// the systems in front that it does not concern, if not all: `netbsd openbsd:
    /// names::a_pattern_fills_the_first_gap`.
    pub(crate) fn read(texts: &[&'static str]) -> Self {
        let indented =
            texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("    "));
        let rows = indented.map(|line| match line.split_once(": ") {
            Some((systems, case)) => Row { systems: systems.split_whitespace().collect(), case: case.trim() },
            None => Row { systems: Vec::new(), case: line.trim() },
        });
        Self { rows: rows.collect() }
    }

    pub(crate) fn concern(&self, system: &str, case: &str) -> bool {
        self.rows.iter().any(|row| {
            let is_it =
                row.case == case || row.case.strip_suffix('*').is_some_and(|start| case.starts_with(start));
            is_it && (row.systems.is_empty() || row.systems.contains(&system))
        })
    }

    /// A case that was renamed must not be excepted for ever under its old name.
    pub(crate) fn check(&self, known: &[String]) -> Result<(), String> {
        let is_known = |row: &&Row| match row.case.strip_suffix('*') {
            Some(start) => known.iter().any(|case| case.starts_with(start)),
            None => known.iter().any(|case| case == row.case),
        };
        let unknown: Vec<_> = self.rows.iter().filter(|row| !is_known(row)).map(|row| row.case).collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(format!("there are no such cases: {}", unknown.join(", ")))
        }
    }
}
