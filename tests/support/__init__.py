"""What tests of several rooms share: real servers, fresh databases."""
