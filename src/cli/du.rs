//! `du`: how much lies below locations.

use super::out;
use crate::du::{Measured, Running, Tally, measure};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Stores;
use crate::terminal::{Signal, Signals};
use crate::text;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often the total so far is shown on a terminal.
const TICK: Duration = Duration::from_millis(200);

/// Options of `du`.
#[derive(Args, Debug)]
pub struct Du {
    /// Prefixes, buckets, folders or objects
    #[arg(required = true, value_name = "LOCATION")]
    pub locations: Vec<String>,
    /// Also each prefix below, so many levels down
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub depth: usize,
    /// Also the sum of all locations
    #[arg(long)]
    pub total: bool,
}

/// What became of one location.
enum Ended {
    Counted(Box<Measured>),
    Stopped(Tally),
}

/// Counts and prints. A location that cannot be counted to its end is printed as far as it was, said on
/// stderr, and does not keep the others from being counted; the first of these errors is the exit code.
pub(super) async fn du(stores: &Stores, args: Du, json: bool) -> Result<()> {
    let locations = args.locations.iter().map(|text| Location::parse(text)).collect::<Result<Vec<_>>>()?;
    let mut signals = Signals::new()?;
    let (mut sum, mut failed) = (Tally::default(), None::<Error>);
    for location in &locations {
        let location = &stores.resolve(location).await;
        match count(stores, location, args.depth, &mut signals, json).await {
            Ended::Counted(found) => {
                sum.add(found.tally);
                let Measured { tally, prefixes, error } = *found;
                let Some(err) = error else {
                    print(location, tally, &prefixes, true, args.depth, json)?;
                    continue;
                };
                // Where nothing could be counted, 0 would be a number that nobody has counted.
                if tally.objects > 0 {
                    print(location, tally, &prefixes, false, args.depth, json)?;
                }
                let err = out::about::<()>(Err(err), "counting", location);
                if let (Err(err), Some(_)) = (&err, &failed) {
                    out::error(err, json);
                }
                failed = failed.or(err.err());
            }
            Ended::Stopped(tally) => {
                print(location, tally, &BTreeMap::new(), false, 0, json)?;
                sum.add(tally);
                print_sum(sum, false, args.total, json)?;
                return Err(Error::cancelled());
            }
        }
    }
    print_sum(sum, failed.is_none(), args.total, json)?;
    failed.map_or(Ok(()), Err)
}

async fn count(stores: &Stores, location: &Location, depth: usize, signals: &mut Signals, json: bool) -> Ended {
    let running = Running::default();
    let shown = !json && out::is_progress_shown();
    let mut work = std::pin::pin!(measure(stores, location, depth, &running));
    let mut tick = tokio::time::interval(TICK);
    let ended = loop {
        tokio::select! {
            biased;
            Signal::Terminate(_) = signals.next() => break Ended::Stopped(running.tally()),
            found = &mut work => break Ended::Counted(Box::new(found)),
            _ = tick.tick(), if shown => {
                out::progress(&format!("{}  {}", words(running.tally()), text::clean(&location.to_string())));
            }
        }
    };
    if shown {
        out::progress("");
    }
    ended
}

fn words(tally: Tally) -> String {
    let objects = if tally.objects == 1 { "object " } else { "objects" };
    format!("{:>10}  {:>11} {objects}", text::bytes(tally.bytes), text::count(tally.objects))
}

fn print(
    location: &Location,
    tally: Tally,
    prefixes: &BTreeMap<String, Tally>,
    complete: bool,
    depth: usize,
    json: bool,
) -> Result<()> {
    if json {
        let mut object = json!({
            "location": location,
            "objects": tally.objects,
            "bytes": tally.bytes,
            "complete": complete,
        });
        if depth > 0 {
            let of = |(prefix, tally): (&String, &Tally)| -> Value {
                json!({ "prefix": prefix, "objects": tally.objects, "bytes": tally.bytes })
            };
            object["prefixes"] = prefixes.iter().map(of).collect();
        }
        return out::json(&object);
    }
    for (prefix, tally) in prefixes {
        let below = location.as_container().to_string();
        out::line(&format!("{}  {}", words(*tally), text::clean(&format!("{below}{prefix}"))))?;
    }
    let note = if complete { "" } else { "  (not all: it was not counted to its end)" };
    out::line(&format!("{}  {}{note}", words(tally), text::clean(&location.to_string())))
}

fn print_sum(sum: Tally, complete: bool, wanted: bool, json: bool) -> Result<()> {
    if !wanted {
        return Ok(());
    }
    if json {
        let object = json!({ "total": true, "objects": sum.objects, "bytes": sum.bytes, "complete": complete });
        return out::json(&object);
    }
    out::line(&format!("{}  total{}", words(sum), if complete { "" } else { "  (not all)" }))
}
