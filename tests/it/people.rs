//! People sign in, and those who guess wait.
use ccms_service::{Role, ServiceError};
use ccms_store::Access;

use crate::city::City;

const EMAIL: &str = "mayor@city.example";
const PASSWORD: &str = "a very good one";

async fn guesses_at_once(city: &City, email: &'static str) -> (usize, usize) {
    let guesses: Vec<_> = (0..50)
        .map(|n| {
            let ccms = city.ccms.clone();
            tokio::spawn(async move { ccms.sign_in(email, &format!("guess number {n}")).await })
        })
        .collect();
    let (mut looked_at, mut sent_away) = (0, 0);
    for guess in guesses {
        match guess.await.expect("an answer") {
            Err(ServiceError::SignInRefused) => looked_at += 1,
            Err(ServiceError::SignInLater { .. }) => sent_away += 1,
            other => panic!("{other:?}"),
        }
    }
    (looked_at, sent_away)
}

on_both! {
    async fn fifty_guesses_at_once_are_five(engine) {
        let city = City::open(engine).await;
        city.ccms.create_person(EMAIL, PASSWORD, Role::Admin).await.expect("a person");
        for email in [EMAIL, "nobody@city.example"] {
            assert_eq!(guesses_at_once(&city, email).await, (5, 45), "{email}");
        }
        let audit = city.store.audit_chain(0, 100).await.expect("the audit log");
        let hashed = audit.iter().filter(|e| e.entry.action == "sign_in.refused").count();
        assert_eq!(hashed, 10, "what was hashed is recorded");
        // The right password waits like the rest, or it would be told from the wrong ones.
        let waits = city.ccms.sign_in(EMAIL, PASSWORD).await;
        assert!(matches!(waits, Err(ServiceError::SignInLater { seconds: 5 })), "{waits:?}");

        // Setting the clock ends no wait and lengthens none; time that passes does.
        city.clock.advance_ms(-86_400_000);
        let waits = city.ccms.sign_in(EMAIL, PASSWORD).await;
        assert!(matches!(waits, Err(ServiceError::SignInLater { seconds: 5 })), "{waits:?}");
        city.clock.advance_ms(5_000);
        assert_eq!(guesses_at_once(&city, EMAIL).await, (1, 49), "and then one at a time");
        city.clock.advance_ms(10_000);
        city.ccms.sign_in(EMAIL, PASSWORD).await.expect("the right password");
        assert_eq!(guesses_at_once(&city, EMAIL).await, (5, 45), "which begins anew");
    }

    async fn a_fault_of_the_database_is_no_failed_attempt(engine) {
        let city = City::open(engine).await;
        city.ccms.create_person(EMAIL, PASSWORD, Role::Admin).await.expect("a person");
        city.store.fails(true);
        for _ in 0..20 {
            let answer = city.ccms.sign_in(EMAIL, PASSWORD).await;
            assert!(matches!(answer, Err(ServiceError::Unavailable)), "{answer:?}");
        }
        city.store.fails(false);
        city.ccms.sign_in(EMAIL, PASSWORD).await.expect("signed in");
    }
}
