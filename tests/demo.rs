use secchi::demo;
use std::time::Instant;

#[tokio::test]
#[ignore = "for a look at the samples: SECCHI_DEMO_FOLDER=/tmp/lake cargo test --test demo -- --ignored --nocapture"]
async fn samples_for_a_look() {
    let began = Instant::now();
    let demo = demo::start(std::env::var_os("SECCHI_DEMO_FOLDER").map(Into::into)).expect("starts");
    println!("{} {} started after {:?}", demo.endpoint, demo.bucket, began.elapsed());
    demo.ready().await.expect("fills");
    println!("filled after {:?}: {:?}", began.elapsed(), demo.progress());
}
