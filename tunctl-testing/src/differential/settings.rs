//! The command line.

/// Operations in a sequence.
pub(crate) const LENGTH: usize = 30;

pub(crate) const HELP: &str = "\
cargo xtask differential [--cases N] [--headers N] [--seed S] [--jobs J] [--case C] [--all] [--against-itself]

  --cases N         sequences of 30 operations to run (2000)
  --headers N       virtio-net headers to try (10000)
  --seed S          where their random numbers start (1)
  --jobs J          processes that run them side by side (32)
  --case C          run this one alone
  --all             go on after a difference, and print one of each kind
  --against-itself  compare the kernel with itself: whatever differs then is not the model's doing
";

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) cases: u64,
    pub(crate) headers: u64,
    pub(crate) seed: u64,
    pub(crate) jobs: u64,
    pub(crate) only: Option<u64>,
    pub(crate) all: bool,
    pub(crate) against_itself: bool,
    /// This process is that worker.
    pub(crate) worker: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cases: 2000,
            headers: 10_000,
            seed: 1,
            jobs: 32,
            only: None,
            all: false,
            against_itself: false,
            worker: None,
        }
    }
}

impl Settings {
    /// From the words of the command line; `None` if help is asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut settings = Self::default();
        while let Some(word) = words.next() {
            let mut number = || -> Result<u64, String> {
                let value = words.next().ok_or_else(|| format!("{word} wants a number"))?;
                value.parse().map_err(|_| format!("{word} wants a number, not {value:?}"))
            };
            match word.as_str() {
                "--cases" => settings.cases = number()?,
                "--headers" => settings.headers = number()?,
                "--seed" => settings.seed = number()?,
                "--jobs" => settings.jobs = number().and_then(at_least_one)?,
                "--case" => settings.only = Some(number()?),
                "--worker" => settings.worker = Some(number()?),
                "--all" => settings.all = true,
                "--against-itself" => settings.against_itself = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("unknown option {word:?}")),
            }
        }
        if settings.only.is_some() {
            settings.jobs = 1;
            settings.headers = 0;
        }
        Ok(Some(settings))
    }

    /// The words that make another process the same run's worker.
    pub(crate) fn for_worker(&self, worker: u64) -> Vec<String> {
        let mut words = Vec::new();
        let numbers = [
            ("--cases", Some(self.cases)),
            ("--headers", Some(self.headers)),
            ("--seed", Some(self.seed)),
            ("--jobs", Some(self.jobs)),
            ("--case", self.only),
            ("--worker", Some(worker)),
        ];
        for (word, number) in numbers {
            words.extend(number.into_iter().flat_map(|number| [word.to_owned(), number.to_string()]));
        }
        for (word, is_on) in [("--all", self.all), ("--against-itself", self.against_itself)] {
            words.extend(is_on.then(|| word.to_owned()));
        }
        words
    }
}

fn at_least_one(jobs: u64) -> Result<u64, String> {
    if jobs == 0 { Err("--jobs wants at least one".into()) } else { Ok(jobs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Settings>, String> {
        Settings::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn a_worker_gets_the_settings_of_its_run() {
        let settings = parse(&["--seed", "7", "--cases", "100", "--jobs", "4", "--headers", "5", "--all"])
            .unwrap()
            .unwrap();
        let worker = Settings::parse(settings.for_worker(3).into_iter()).unwrap().unwrap();
        assert_eq!(worker, Settings { worker: Some(3), ..settings });
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(parse(&["--help"]), Ok(None));
        assert_eq!(parse(&["--jobs", "0"]), Err("--jobs wants at least one".into()));
        assert!(parse(&["--seed"]).is_err() && parse(&["--seed", "x"]).is_err() && parse(&["x"]).is_err());
    }
}
