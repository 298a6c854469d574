//! Row 14: devices ask for ten times what the disk takes, and do not listen when they are told to come later. The disk is slow
//! (a commit takes a second), because a generator beside a fast one could not ask for so much.
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::client::Driver;
use crate::load::Work;
use crate::process::resident_bytes_of;
use crate::report::{Bar, part, row};
use crate::servers::{Disk, Product};

struct Size {
    reporters: usize,
    pollers: usize,
    commit: Duration,
    /// Requests that may wait; the product's own bound would need as many connections.
    queue: usize,
    usual: Work,
    overload: Work,
}

fn size(smoke: bool) -> Size {
    let work = |s: u64, every_ms: u64| Work { length: Duration::from_secs(s), every: Duration::from_millis(every_ms) };
    if smoke {
        let commit = Duration::from_millis(50);
        return Size { reporters: 128, pollers: 8, commit, queue: 8, usual: work(1, 500), overload: work(1, 5) };
    }
    // At most 1,024 readings in a commit: about 900 a second are asked for at first, and then ten times what is taken.
    let commit = Duration::from_secs(1);
    Size { reporters: 4_096, pollers: 64, commit, queue: 512, usual: work(30, 4_500), overload: work(300, 200) }
}

pub async fn measure(smoke: bool, serving: &Runtime) -> anyhow::Result<()> {
    let size = size(smoke);
    part(&format!(
        "a disk that takes {} ms for a commit, a queue of {}; {} devices report every {} ms for {} s, and then every {} ms for {} s",
        size.commit.as_millis(),
        size.queue,
        size.reporters,
        size.usual.every.as_millis(),
        size.usual.length.as_secs(),
        size.overload.every.as_millis(),
        size.overload.length.as_secs()
    ));
    let product = Product::start(serving, Disk::Slow { commit: size.commit, queue: size.queue }).await?;
    let mut reporters = Driver::connect(product.address, 0, size.reporters).await?;
    reporters.enrol().await?;
    let mut pollers = Driver::connect(product.address, size.reporters as u32, size.pollers).await?;
    pollers.enrol().await?;
    let polling = |work: Work| Work { every: Duration::from_millis(100), ..work };

    let (taken, polled) = tokio::join!(reporters.statuses_at(size.usual), pollers.polls_at(polling(size.usual)));
    let (usual, usual_polls) = (taken?, polled?);
    let before = resident_bytes_of("self")?;
    let (taken, polled) = tokio::join!(reporters.statuses_at(size.overload), pollers.polls_at(polling(size.overload)));
    let (overload, overload_polls) = (taken?, polled?);
    let after = resident_bytes_of("self")?;

    row("usual: statuses taken", usual.per_second(), "a second", Bar::None);
    row("usual: statuses refused", usual.refused as f64, "", Bar::None);
    let asked = (overload.ok + overload.refused) as f64;
    row("overload: statuses taken", overload.per_second(), "a second", Bar::None);
    row("overload: asked for one that is taken", asked / overload.ok.max(1) as f64, "times", Bar::AtLeast(10.0));
    let told = 100.0 * overload.told_when as f64 / overload.refused.max(1) as f64;
    row("overload: of the refused, 503 with Retry-After", told, "%", Bar::AtLeast(100.0));
    let growth = 100.0 * (after as f64 / before as f64 - 1.0);
    row("memory after the usual load, generator included", before as f64 / 1e6, "MB", Bar::None);
    row("memory grew by, generator included", growth, "%", Bar::AtMost(10.0));
    row("usual: poll answered after, 99 of 100", usual_polls.p99_ms, "ms", Bar::None);
    row("overload: poll answered after, 99 of 100", overload_polls.p99_ms, "ms", Bar::None);
    row(
        "polls' 99 of 100, in terms of the usual",
        overload_polls.p99_ms / usual_polls.p99_ms,
        "times",
        Bar::AtMost(2.0),
    );
    row("overload: polls refused", overload_polls.refused as f64, "", Bar::AtMost(0.0));
    let cut = [usual.cut, overload.cut, usual_polls.cut, overload_polls.cut].iter().sum::<u64>();
    row("connections that ended before their time", cut as f64, "", Bar::AtMost(0.0));
    drop((reporters, pollers));
    product.stop().await;
    Ok(())
}
