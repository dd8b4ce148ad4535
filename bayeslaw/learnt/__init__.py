"""What public runs teach about laws: records of numbers, with what they were learnt from."""
