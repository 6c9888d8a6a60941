//! What libFuzzer prints.

/// What it says of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// How many inputs it ran, those of the corpus included.
    pub(super) executions: u64,
    pub(super) per_second: u64,
    /// How many edges of the program's graph the corpus reached, and then all inputs.
    pub(super) edges: (u64, u64),
    /// How many inputs it found that did something new.
    pub(super) found: u64,
}

impl Figures {
    pub(super) fn read(log: &str) -> Self {
        let mut figures = Self::default();
        let statistic =
            |line: &str, name: &str| line.strip_prefix(name).and_then(|number| number.trim().parse().ok());
        for line in log.lines() {
            if let Some(edges) = edges(line, "INITED") {
                figures.edges = (edges, edges);
            } else if let Some(edges) = edges(line, "DONE") {
                figures.edges.1 = edges;
            } else if let Some(number) = statistic(line, "stat::number_of_executed_units:") {
                figures.executions = number;
            } else if let Some(number) = statistic(line, "stat::average_exec_per_sec:") {
                figures.per_second = number;
            } else if let Some(number) = statistic(line, "stat::new_units_added:") {
                figures.found = number;
            }
        }
        figures
    }
}

/// The edges in a line about this event: a number, the event, `cov: 90`, and more.
fn edges(line: &str, event: &str) -> Option<u64> {
    let mut words = line.strip_prefix('#')?.split_whitespace().skip(1);
    let is_it = words.next() == Some(event) && words.next() == Some("cov:");
    words.next().filter(|_| is_it)?.parse().ok()
}

/// Where the input was written that ended the run.
pub(super) fn input(log: &str) -> Option<&str> {
    log.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.trim())
}

/// The lines that tell why it ended.
pub(super) fn reason(log: &str) -> String {
    const LINES: usize = 4;
    let tells = |line: &&str| line.contains(" panicked at ") || line.contains("ERROR: ");
    let from: Vec<&str> = log.lines().skip_while(|line| !tells(line)).take(LINES).collect();
    let told = if from.is_empty() { log.lines().rev().take(LINES).collect::<Vec<_>>() } else { from };
    told.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
#2\tINITED cov: 80 ft: 81 corp: 1/1b exec/s: 0 rss: 30Mb
#9\tNEW    cov: 85 ft: 90 corp: 2/3b lim: 4 exec/s: 0 rss: 31Mb L: 2/2 MS: 1 CopyPart-
#600\tDONE   cov: 90 ft: 117 corp: 9/38b lim: 2048 exec/s: 54 rss: 38Mb
stat::number_of_executed_units: 600
stat::average_exec_per_sec:     54
stat::new_units_added:          46
";

    #[test]
    fn figures_are_those_of_the_end() {
        let figures = Figures { executions: 600, per_second: 54, edges: (80, 90), found: 46 };
        assert_eq!(Figures::read(LOG), figures);
        assert_eq!(Figures::read("sh: no such program"), Figures::default());
    }

    #[test]
    fn a_crash_names_its_input_and_its_reason() {
        let log = "#3\tREDUCE cov: 1\nthread '<unnamed>' (1) panicked at a.rs:1:1:\nit is wrong\n\
                   ==9== ERROR: libFuzzer: deadly signal\nartifact_prefix='a/'; Test unit written to a/crash-1\n";
        assert_eq!(input(log), Some("a/crash-1"));
        assert!(reason(log).starts_with("thread '<unnamed>' (1) panicked at a.rs:1:1:\nit is wrong\n"));
        assert_eq!((input(LOG), reason("killed").as_str()), (None, "killed"));
    }
}
