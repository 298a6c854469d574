//! The reference device, unbroken.
use ccms_fleet::conformance::Rules;
use ccms_fleet::conformance::check::Outcome;
use ccms_fleet::conformance::report::Verdict;
use ccms_fleet::conformance::scripts::ALL;
use ccms_fleet::conformance::sections::{DECISIONS, decision};

use super::bench::{Bench, START, Sound, examine};

#[test]
fn the_reference_device_passes_everything() {
    let mut bench = Bench::new(Rules::new(START), Sound);
    bench.run();
    let report = bench.report();
    for check in report.checks.iter().filter(|c| c.outcome != Outcome::Pass) {
        println!("{:?} §{:?} {}: {}", check.outcome, check.sections, check.name, check.seen);
    }
    assert_eq!(report.verdict, Verdict::Passed, "{}", bench.lines.join("\n"));
    assert_eq!(report.names(Outcome::Pass).len(), report.checks.len(), "the optional ones too");
    let minutes = report.duration_s / 60;
    println!(
        "{} checks, {minutes} virtual minutes, {} calls",
        report.checks.len(),
        report.calls.values().map(|c| c.0).sum::<usize>()
    );
    assert!((40..100).contains(&minutes), "{minutes} minutes");
}

#[test]
fn three_hours_without_a_server_lose_nothing() {
    let rules = Rules { offline_s: 3 * 3_600, only: vec!["outage".into(), "throughout".into()], ..Rules::new(START) };
    let report = examine(rules, Sound);
    assert_eq!(report.verdict, Verdict::Passed, "{:?}", report.names(Outcome::Fail));
    let kept = report.check("readings-kept").unwrap();
    assert!(kept.seen.starts_with("36"), "{}", kept.seen);
}

#[test]
fn a_quick_run_leaves_out_what_takes_long_and_says_so() {
    let report = examine(Rules { quick: true, ..Rules::new(START) }, Sound);
    assert!(report.quick && report.duration_s < 35 * 60, "{} s", report.duration_s);
    assert_eq!(report.names(Outcome::Fail), [""; 0]);
    let left_out = report.names(Outcome::LeftOut);
    assert!(left_out.contains(&"readings-kept") && left_out.contains(&"configure-for-ever"), "{left_out:?}");
}

#[test]
fn without_hands_the_run_is_incomplete_not_failed() {
    let mut bench = Bench::new(Rules::new(START), Sound);
    bench.no_hands = true;
    bench.run();
    let report = bench.report();
    assert_eq!(report.names(Outcome::Fail), [""; 0]);
    assert_eq!(report.verdict, Verdict::Incomplete);
    assert!(report.names(Outcome::NotSeen).contains(&"hot-cadence"));
}

#[test]
fn a_server_that_nobody_calls_says_so() {
    let mut referee = ccms_fleet::conformance::Referee::new(Rules::new(START));
    let at = referee.wake_at_ms().unwrap();
    referee.tick(at);
    assert!(referee.is_over());
    let report = referee.report(at);
    assert_eq!(report.verdict, Verdict::Incomplete);
    assert!(report.checks.iter().all(|c| c.seen == "waited in vain for the first call of a device"));
}

/// Names are keys in JSON and in tenders.
#[test]
fn every_check_has_a_name_of_its_own_a_section_and_known_decisions() {
    let checks: Vec<_> = ALL.iter().flat_map(|s| s.checks()).collect();
    let names: std::collections::BTreeSet<_> = checks.iter().map(|c| c.name).collect();
    assert_eq!(names.len(), checks.len());
    for check in &checks {
        assert!((1..=12).contains(&check.section()), "{}", check.name);
        assert!(check.decisions.iter().all(|n| decision(*n).is_some()), "{}: {:?}", check.name, check.decisions);
    }
    let spoken = |n: &u8| checks.iter().any(|c| c.decisions.contains(n));
    assert!(DECISIONS.iter().all(|(n, _)| spoken(n)), "decisions that no check speaks of");
}
