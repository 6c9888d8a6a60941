//! The command line.

pub(crate) const HELP: &str = "\
cargo xtask oracle [--cases N] [--seed S] [--case C]

  --cases N  packets to cut (100000)
  --seed S   where their random numbers start (1)
  --case C   cut this one alone, and show it
";

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) cases: u64,
    pub(crate) seed: u64,
    pub(crate) only: Option<u64>,
}

impl Settings {
    /// From the words of the command line; `None` if help is asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut settings = Self { cases: 100_000, seed: 1, only: None };
        while let Some(word) = words.next() {
            let mut number = || {
                let value = words.next().ok_or_else(|| format!("{word} wants a value"))?;
                value.parse().map_err(|_| format!("not a number: {value:?}"))
            };
            match word.as_str() {
                "--cases" => settings.cases = number()?,
                "--seed" => settings.seed = number()?,
                "--case" => settings.only = Some(number()?),
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
        let settings = parse(&["--seed", "7", "--cases", "5", "--case", "3"]).unwrap();
        assert_eq!(settings, Some(Settings { cases: 5, seed: 7, only: Some(3) }));
        assert_eq!(parse(&["--help"]), Ok(None));
        assert!(parse(&["--seed"]).is_err() && parse(&["--seed", "x"]).is_err() && parse(&["x"]).is_err());
    }
}
