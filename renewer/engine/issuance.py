"""The requests to a CA for one certificate: issue, rehearse, get the renewal window, revoke."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from renewer.core import policy
from renewer.core.errors import OrderFailed, RenewerError, Stopped, Transient
from renewer.core.interfaces import Clock, Issuer, Report
from renewer.core.model import CertSpec, Material, Revocation, Snapshot, Suggestion
from renewer.core.policy import Decision, Issue
from renewer.store.state import CertificateState

_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Issuance:
    """Contacts the CA, and stores the results in the state of the certificate."""

    issuer: Issuer
    clock: Clock
    report: Report

    def issue(self, snapshot: Snapshot, certificate: CertificateState, step: Issue) -> None:
        """Obtain and store a new certificate; the old one stays until then."""
        spec = snapshot.spec
        self._rehearse(spec, step, certificate.rehearsal)
        self.report.done(spec.name, f"a certificate is ordered: {step.reason}{self.cost(snapshot)}")
        material = self._order(_from(spec, step.directory_url), snapshot.material, certificate, step)
        certificate.keep(material)
        certificate.save(certificate.load().without(material))
        certificate.succeeded()

    def cost(self, snapshot: Snapshot) -> str:
        """Return how much of the CA's rate limits a forced order uses."""
        cost = self.issuer.cost(snapshot.spec) if snapshot.forced else ""
        return f"; it is {cost}" if cost else ""

    def hindrance(self, snapshot: Snapshot, step: Issue) -> Transient | None:
        """Return why a forced order would have to wait, if a rate limit of the CA forbids it."""
        if not snapshot.forced or snapshot.pending:  # a pending order has already been counted
            return None
        try:
            self.issuer.require(_from(snapshot.spec, step.directory_url), snapshot.material)
        except Transient as error:
            return error
        return None

    def _rehearse(self, spec: CertSpec, step: Issue, journal: CertificateState) -> None:
        """Order at a staging CA and discard the certificate; raises the errors of a real order."""
        if step.rehearse is None:
            return
        self.report.done(spec.name, f"the last attempt failed: this one is rehearsed at {step.rehearse}")
        self._order(_from(spec, step.rehearse), None, journal, step)
        journal.save(journal.load().with_nothing_done().with_order(None))

    def _order(
        self, spec: CertSpec, replaces: Material | None, journal: CertificateState, step: Issue
    ) -> Material:
        """Obtain a pair; raises `OrderFailed` with the CA of the step, even for a rehearsal."""
        try:
            return self.issuer.issue(spec, replaces, journal)
        except RenewerError as error:
            raise OrderFailed(error, step.directory_url) from error

    def ask(self, snapshot: Snapshot, certificate: CertificateState) -> None:
        """Get the renewal window from the CA; a CA that does not answer must not block anything."""
        material, name = snapshot.material, snapshot.spec.name
        if material is None:
            return
        self.report.doing(name, "asking the CA when to renew")
        ari = material.pairs[0].ari
        try:
            window = self.issuer.window(material)
        except Stopped:
            raise
        except RenewerError as error:
            self.report.done(name, f"the CA does not say when to renew: {error}")
            certificate.suggest(policy.unanswered(snapshot.suggestion, ari, self.clock.now()))
            return
        now = self.clock.now()  # a Retry-After counts from the answer
        if window is None:
            certificate.suggest(Suggestion(ari, ask_again=now + policy.ASK_AT_MOST))
        else:
            chosen = policy.choose(window, ari, snapshot.suggestion, now, self.clock.fraction())
            certificate.suggest(chosen)
            if snapshot.suggestion is None or snapshot.suggestion.instant != chosen.instant:
                self.report.done(name, _suggested(chosen))

    def tidy(self, decision: Decision, certificate: CertificateState) -> None:
        """Remove the leftovers of earlier attempts from the journals and the DNS."""
        name, step = decision.snapshot.spec.name, decision.step
        progress = certificate.load().without(decision.snapshot.material)
        certificate.save(progress if decision.reason else progress.with_order(None))
        # An order that is resumed right away needs its records.
        if not (isinstance(step, Issue) and progress.order):
            self.issuer.tidy(name, certificate)
        rehearsal = certificate.rehearsal.load()
        if rehearsal.in_dns and not (isinstance(step, Issue) and step.rehearse and rehearsal.order):
            self.issuer.tidy(name, certificate.rehearsal)

    def forget(self, name: str, asked: Sequence[Revocation], certificate: CertificateState) -> None:
        """Clean up after a certificate that was removed from the configuration; finish its revocations.

        Issued certificates stay.
        """
        for journal in (certificate, certificate.rehearsal):
            if journal.load().in_dns:
                self.issuer.tidy(name, journal)
            left = journal.load()
            if left.order and not left.in_dns:
                journal.save(left.with_order(None))
        self.revoke(name, asked, certificate)

    def revoke(
        self, name: str, asked: Sequence[Revocation], certificate: CertificateState
    ) -> RenewerError | None:
        """Revoke these certificates, even if they could not be replaced; return the first error.

        A CA does not revoke expired certificates, so those are recorded as revoked without a request.
        """
        first = None
        for one in asked:
            if one.material.not_after <= self.clock.now():
                certificate.revoked(one)
                self.report.done(name, "a certificate that was to be revoked has ended before it was")
                continue
            self.report.doing(name, "revoking the certificate")
            try:
                self.issuer.revoke(one.material, one.reason)
            except RenewerError as error:
                self.report.problem(name, f"the certificate is not revoked yet: {error}", error.hint)
                first = first or error
            else:
                certificate.revoked(one)
                self.report.done(name, f"the certificate is revoked ({one.reason})")
        return first


def _suggested(suggestion: Suggestion) -> str:
    page = suggestion.explanation_url
    return (
        f"the CA suggests to renew from {suggestion.start:{_TIME}} to {suggestion.end:{_TIME}} UTC"
        f" ({f'see {page}; ' if page else ''}chosen in it: {suggestion.instant:{_TIME}})"
    )


def _from(spec: CertSpec, directory_url: str) -> CertSpec:
    """Return the specification for a CA; a profile applies only to the first CA."""
    return (
        spec
        if directory_url == spec.directory_url
        else replace(spec, directory_url=directory_url, profile=None)
    )
