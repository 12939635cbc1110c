pub fn name() -> u32 {
    missing
}

#[test]
fn has_a_name() {
    assert_eq!(name(), "a");
}
