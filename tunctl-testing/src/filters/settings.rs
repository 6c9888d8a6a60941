//! The command line.

pub(crate) const HELP: &str = "\
cargo xtask filters [--expressions N] [--packets N] [--seed S] [--expression E]

  --expressions N  filter expressions to try on each of tun and tap (200)
  --packets N      packets that each of them judges (100000)
  --seed S         where their random numbers start (1)
  --expression E   try this one alone
";

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) expressions: u64,
    pub(crate) packets: u64,
    pub(crate) seed: u64,
    pub(crate) only: Option<String>,
}

impl Settings {
    /// From the words of the command line; `None` if help is asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut settings = Self { expressions: 200, packets: 100_000, seed: 1, only: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            let number = |value: String| value.parse().map_err(|_| format!("not a number: {value:?}"));
            match word.as_str() {
                "--expressions" => settings.expressions = number(value()?)?,
                "--packets" => settings.packets = number(value()?)?,
                "--seed" => settings.seed = number(value()?)?,
                "--expression" => settings.only = Some(value()?),
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {word:?}")),
            }
        }
        Ok(Some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Settings>, String> {
        Settings::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn the_options_are_read_and_nonsense_is_refused() {
        let settings = parse(&["--seed", "7", "--packets", "5", "--expression", "tcp or udp"]).unwrap();
        let only = Some("tcp or udp".to_owned());
        assert_eq!(settings, Some(Settings { expressions: 200, packets: 5, seed: 7, only }));
        assert_eq!(parse(&["--help"]), Ok(None));
        assert!(parse(&["--seed"]).is_err() && parse(&["--seed", "x"]).is_err() && parse(&["x"]).is_err());
    }
}
