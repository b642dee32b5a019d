"""Which parameters matter: fANOVA and PED-ANOVA over a space with conditions. Pure."""
