using 'main.bicep'

param workspaceName = 'WORKSPACE'
param clusterName = 'CLUSTER'
param vmSize = 'VM_SIZE'
// Of GitHub: repo:OWNER/REPO:environment:  Of Azure DevOps, with its issuer: sc://ORGANIZATION/PROJECT/
param subjectPrefix = 'SUBJECT_PREFIX'
