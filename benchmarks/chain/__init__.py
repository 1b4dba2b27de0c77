"""What the commands of the chain cost, by stage, beside an earlier commit and peers."""
