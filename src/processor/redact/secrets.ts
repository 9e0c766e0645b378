// What the preset `secrets` of `redact` takes for confidential in an event with bodies: which bodies as a whole, and
// which annotation anywhere in the others. Decided by what was asked for (`objectRef`) and by what the body says that it
// is (`kind`), so that neither hides the other.
//
// The kinds are those whose bodies hold credentials: kubernetes/kubernetes#96319, and what OpenShift's and kubeadm's
// audit policies leave out.
import type { ByteString } from '../../event/byte-string.js';
import { isObjectAt, PathMembers, stringAt } from '../../event/json-members.js';
import type { JsonReader } from '../../event/json-reader.js';

/** Resources, and resource/subresource, whose bodies are confidential, and the kinds of those bodies. */
const RESOURCES = [
  'secrets',
  'tokenreviews',
  'serviceaccounts/token',
  'certificatesigningrequests',
  'certificatesigningrequests/approval',
  'certificatesigningrequests/status',
  'oauthaccesstokens',
  'oauthauthorizetokens',
  'useroauthaccesstokens',
  'oauthclients',
];
const KINDS = [
  'Secret',
  'SecretList',
  'TokenReview',
  'TokenRequest',
  'CertificateSigningRequest',
  'CertificateSigningRequestList',
  'OAuthAccessToken',
  'OAuthAccessTokenList',
  'OAuthAuthorizeToken',
  'OAuthAuthorizeTokenList',
  'UserOAuthAccessToken',
  'UserOAuthAccessTokenList',
  'OAuthClient',
  'OAuthClientList',
];
const CONFIG_MAPS = { resources: ['configmaps'], kinds: ['ConfigMap', 'ConfigMapList'] };

const KIND_PATHS = [new PathMembers(['kind']), new PathMembers(['items', 'kind'])];

/** The annotation that holds a whole object as it was last applied, with all that it contains. */
export const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Tells which bodies are confidential. */
export class SecretBodies {
  readonly #resources: ReadonlySet<ByteString>;
  readonly #kinds: ReadonlySet<ByteString>;

  constructor({ withConfigMaps }: { withConfigMaps: boolean }) {
    this.#resources = new Set([...RESOURCES, ...(withConfigMaps ? CONFIG_MAPS.resources : [])]);
    this.#kinds = new Set([...KINDS, ...(withConfigMaps ? CONFIG_MAPS.kinds : [])]);
  }

  /** Whether all bodies of a request for this resource are. */
  isResource(resource: ByteString | undefined, subresource: ByteString | undefined): boolean {
    if (resource === undefined) return false;
    return this.#resources.has(
      subresource === undefined || subresource === '' || resource === 'secrets' || resource === 'configmaps'
        ? resource
        : `${resource}/${subresource}`,
    );
  }

  /** Whether the body at `at` is, by its own kind or that of any of its items. */
  isBody(reader: JsonReader, at: number): boolean {
    if (!isObjectAt(reader, at)) return false;
    let isConfidential = false;
    for (const path of KIND_PATHS)
      path.each(reader, at, ({ valueStart }) => {
        isConfidential ||= this.#kinds.has(stringAt(reader, valueStart) ?? '');
      });
    return isConfidential;
  }
}
