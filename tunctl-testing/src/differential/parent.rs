//! The process that starts the workers, adds up what they tell, and judges.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, IsTerminal, Write as _};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tunctl_conformance::Need;
use tunctl_mock::conformance::MockHarness;

use crate::differential::message::Message;
use crate::differential::settings::Settings;
use crate::differential::table::Tally;
use crate::differential::worker::{fresh_model, is_real_root};
use crate::profile::running_kernel;

/// Cases after which every refusal that the conformance suite names must have occurred.
const ENOUGH: u64 = 10_000;

/// How often a log, which cannot be written over, is told how far the run is.
const LOG: Duration = Duration::from_secs(60);

/// Runs everything; what is wrong.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    if !is_real_root() {
        return Err(
            "it takes other users' ids and device nodes of its own: run it as root of the machine".into()
        );
    }
    crate::mount_nodes().map_err(|error| format!("make device nodes: {error}"))?;
    let (named, failures) = if settings.against_itself { Default::default() } else { named_refusals() };
    let started = Instant::now();
    let mut state =
        State { settings, tally: Tally::default(), kinds: BTreeMap::new(), failures, logged: started };
    let mut workers = Vec::new();
    let (sender, receiver) = mpsc::channel();
    for number in 0..settings.jobs {
        workers.push(start(settings, number, sender.clone())?);
    }
    drop(sender);
    let mut done = 0;
    while let Ok(message) = receiver.recv() {
        done += u64::from(message == Message::Done);
        let is_last = state.take(message);
        state.show_progress(started);
        if is_last {
            break;
        }
    }
    let is_complete = done == settings.jobs;
    for worker in &mut workers {
        // Its copy inside ends as soon as it finds that nobody listens.
        if !is_complete {
            let _ = worker.kill();
        }
        let _ = worker.wait();
    }
    state.conclude(&named, started, is_complete)
}

fn start(settings: &Settings, number: u64, sender: Sender<Message>) -> Result<Child, String> {
    let mut child = Command::new("/proc/self/exe")
        .args(settings.for_worker(number))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("start a worker: {error}"))?;
    let output = child.stdout.take();
    thread::spawn(move || {
        for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
            let Ok(line) = line else { break };
            let message = serde_json::from_str(&line)
                .unwrap_or_else(|error| Message::Failed(format!("a worker said {line:?}: {error}")));
            if sender.send(message).is_err() {
                break;
            }
        }
    });
    Ok(child)
}

/// What the conformance suite asks to be refused, as it does on the model; and the cases that the model
/// fails, for which this is not the place to say why.
fn named_refusals() -> (BTreeSet<(String, String)>, Vec<String>) {
    let (mut named, mut failures) = (BTreeSet::new(), Vec::new());
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    // The comparison is in another user namespace, and cannot meet what takes the first one.
    let cases = tunctl_conformance::cases::<MockHarness>().into_iter();
    for case in cases.filter(|case| case.need() != Need::FirstUserNamespace) {
        match catch_unwind(AssertUnwindSafe(|| case.run(&fresh_model()))) {
            Ok(outcome) => named.extend(
                outcome
                    .refusals
                    .iter()
                    .map(|(operation, cause)| (format!("{operation:?}"), format!("{cause:?}"))),
            ),
            Err(_) => failures.push(format!("the model fails the conformance case {case:?}")),
        }
    }
    panic::set_hook(hook);
    (named, failures)
}

struct State<'a> {
    settings: &'a Settings,
    tally: Tally,
    /// How often each kind of difference was met.
    kinds: BTreeMap<String, u64>,
    failures: Vec<String>,
    /// When a log was last told of progress.
    logged: Instant,
}

impl State<'_> {
    /// Whether the run ends with this.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Progress(tally) => {
                self.tally.absorb(&tally);
                false
            }
            Message::Difference { case, kind, text } => {
                let count = self.kinds.entry(kind.clone()).or_default();
                *count += 1;
                if *count == 1 {
                    clear_progress();
                    println!("── seed {}, case {case}: {kind}\n\n{text}", self.settings.seed);
                }
                !self.settings.all
            }
            Message::Failed(why) => {
                self.failures.push(why);
                true
            }
            Message::Done => false,
        }
    }

    fn show_progress(&mut self, started: Instant) {
        let (cases, of) = (self.tally.cases, self.settings.cases);
        let progress = format!("{cases} of {of} sequences, {} a second", rate(cases, started));
        if std::io::stderr().is_terminal() {
            eprint!("\r{progress}   ");
            let _ = std::io::stderr().flush();
        } else if self.logged.elapsed() >= LOG {
            // Whoever breaks off a long run still knows what of it was done, and with which seed.
            eprintln!("seed {}: {progress}", self.settings.seed);
            self.logged = Instant::now();
        }
    }

    fn conclude(
        self,
        named: &BTreeSet<(String, String)>,
        started: Instant,
        is_complete: bool,
    ) -> Result<(), String> {
        clear_progress();
        // A run that ended at its first difference proves nothing by its counts.
        if is_complete {
            print!("{}", self.tally.render());
        }
        let cases = self.tally.cases;
        println!("seed {}, {} sequences a second", self.settings.seed, rate(cases, started));
        if let Some((rarest, count)) = self.tally.rarest(named).filter(|_| is_complete) {
            let (met, of) = (named.len() - self.tally.missing(named).len(), named.len());
            println!(
                "{met} of the {of} refusals that conformance cases name; the rarest, {rarest}, {count} times"
            );
        }
        let mut problems = self.failures;
        if !self.kinds.is_empty() {
            problems.push(format!("{} kinds of differences", self.kinds.len()));
        }
        if is_complete && self.settings.only.is_none() {
            // A short run need not have met everything.
            let named = if cases >= ENOUGH { named } else { &BTreeSet::new() };
            problems.extend(self.tally.shortcomings(named));
            problems.extend(self.tally.headers.shortcomings(&running_kernel().vnet_rules()));
        } else if problems.is_empty() && !is_complete {
            problems.push("a worker ended before its work did".into());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
    }
}

fn clear_progress() {
    if std::io::stderr().is_terminal() {
        eprint!("\r{:60}\r", "");
    }
}

fn rate(cases: u64, started: Instant) -> u64 {
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    cases * 1000 / milliseconds.max(1)
}
