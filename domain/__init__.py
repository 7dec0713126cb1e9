"""Pure values and rules of order fulfillment; imports none of the project's other packages."""
