/// Adds prices.
///
/// ```
/// assert_eq!(shop::total(&[1, 2]), 4);
/// ```
pub fn total(prices: &[u32]) -> u32 {
    prices.iter().sum()
}

pub fn first(prices: &[u32]) -> u32 {
    prices[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals() {
        assert_eq!(total(&[1, 2]), 3);
    }

    #[test]
    fn is_wrong() {
        println!("before");
        assert_eq!(total(&[1, 2]), 4, "the sum differs");
    }

    #[test]
    fn panics() {
        first(&[]);
    }

    #[test]
    #[ignore]
    fn later() {}

    #[test]
    #[should_panic]
    fn does_not_panic() {}
}
