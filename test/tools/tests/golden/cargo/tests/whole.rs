#[test]
fn first_is_first() {
    assert_eq!(shop::first(&[7, 8]), 7);
}

#[test]
fn first_is_last() -> Result<(), String> {
    Err(format!("{} is not last", shop::first(&[7, 8])))
}
