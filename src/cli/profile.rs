//! `profile`: statistics of a column.

use super::{jobs, out};
use crate::error::Result;
use crate::jobs::profile::Profile as Job;
use crate::location::Location;
use crate::store::Stores;
use crate::table::profile::{Histogram, Profile};
use crate::text;
use clap::Args as Arguments;

/// Frequent values that are printed; JSON has more.
const TOP: usize = 10;
/// Characters of a printed value.
const WIDEST: usize = 60;

/// Options of `profile`.
#[derive(Arguments, Debug)]
pub struct Args {
    /// The table
    pub location: String,
    /// The column
    pub column: String,
}

/// Reads the column from end to end.
pub(super) async fn run(stores: Stores, args: Args, json: bool) -> Result<()> {
    let source = Location::parse(&args.location)?;
    let job = Job { source, column: args.column, rows: None };
    let data = jobs::found(stores, Box::new(job), json).await?;
    if json { Ok(()) } else { print(&serde_json::from_value(data)?) }
}

fn print(profile: &Profile) -> Result<()> {
    out::line(&text::clean(&format!("{}  {}", profile.column, profile.kind)))?;
    let line = |name: &str, value: &str| out::line(&format!("  {name:<10} {}", text::fit(&text::clean(value), WIDEST)));
    for (name, value) in profile.facts() {
        line(name, &value)?;
    }
    if let Some(histogram) = profile.histogram.as_ref().filter(|h| h.counts.len() > 1) {
        line("from … to", &format!("{} … {}", histogram.from, histogram.to))?;
        out::line(&format!("  {:<10} {}", "spread", bars(histogram, out::is_unicode())))?;
    }
    for (i, (value, n)) in profile.top.iter().take(TOP).enumerate() {
        line(if i == 0 { "most often" } else { "" }, &format!("{:>9}  {value}", text::count(*n)))?;
    }
    Ok(())
}

/// A bar for each bin; none is lower than what shows that there is something.
fn bars(histogram: &Histogram, unicode: bool) -> String {
    let steps: &[char] =
        if unicode { &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] } else { &['.', ':', '+', '#'] };
    let most = histogram.counts.iter().copied().max().unwrap_or(1).max(1);
    let bar = |count: &u64| match usize::try_from(u128::from(*count) * steps.len() as u128 / (u128::from(most) + 1)) {
        Ok(step) if *count > 0 => steps[step.min(steps.len() - 1)],
        _ => ' ',
    };
    histogram.counts.iter().map(bar).collect()
}
