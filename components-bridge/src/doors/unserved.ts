const EXTENSION = '/spec.proto.extension.v1.';
const LAYOTTO = '/spec.proto.runtime.v1.Runtime/';
const DAPR = '/dapr.proto.runtime.v1.Dapr/';

/** What is missing, by the beginning of the method's path; the first that fits counts. The filter has the same. */
export const UNSERVED: readonly (readonly [start: string, what: string])[] = [
  [`${EXTENSION}s3.ObjectStorageService/`, 'object storage'],
  [`${EXTENSION}cryption.CryptionService/`, 'encryption'],
  [`${EXTENSION}email.EmailService/`, 'email'],
  [`${EXTENSION}phone.PhoneCallService/`, 'calling phones'],
  [`${EXTENSION}sms.SmsService/`, 'sending text messages'],
  [`${LAYOTTO}InvokeService`, 'service invocation'],
  [`${DAPR}InvokeService`, 'service invocation'],
  [`${DAPR}QueryState`, 'querying state'],
  [`${DAPR}InvokeActor`, 'actors'],
  [`${DAPR}GetActor`, 'actors'],
  [`${DAPR}ListActor`, 'actors'],
  [`${DAPR}RegisterActor`, 'actors'],
  [`${DAPR}UnregisterActor`, 'actors'],
  [`${DAPR}ExecuteActor`, 'actors'],
  [`${DAPR}SubscribeActor`, 'actors'],
  [`${DAPR}Subtle`, 'cryptography'],
  [`${DAPR}EncryptAlpha`, 'cryptography'],
  [`${DAPR}DecryptAlpha`, 'cryptography'],
  [`${DAPR}StartWorkflow`, 'workflows'],
  [`${DAPR}GetWorkflow`, 'workflows'],
  [`${DAPR}PurgeWorkflow`, 'workflows'],
  [`${DAPR}TerminateWorkflow`, 'workflows'],
  [`${DAPR}PauseWorkflow`, 'workflows'],
  [`${DAPR}ResumeWorkflow`, 'workflows'],
  [`${DAPR}RaiseEventWorkflow`, 'workflows'],
  [`${DAPR}ScheduleJob`, 'jobs'],
  [`${DAPR}GetJob`, 'jobs'],
  [`${DAPR}DeleteJob`, 'jobs'],
  [`${DAPR}ListJobs`, 'jobs'],
  [`${DAPR}Converse`, 'conversation'],
  [`${DAPR}Shutdown`, 'ending the runtime through its API'],
];

/** What a caller is told of a method that no door serves. */
export function unservedText(path: string, shown: string): string {
  const text = `method ${shown} is not implemented by this runtime`;
  const missing = UNSERVED.find(([start]) => path.startsWith(start))?.[1];
  return missing === undefined ? text : `${text}: ${missing} is not served by this version`;
}
