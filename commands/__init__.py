"""What operators run by hand: the commands of the program `fulfillment`, see `commands.cli`."""
