"""From a built warehouse to people: publish what was audited, alert, and trace any number."""
