# Main Street: lets the application act for its accounts
# Run in PowerShell 7 or Windows PowerShell, after: Connect-ExchangeOnline

$Service = 'svc@example.test'
$Group = 'syncops Main Street accounts'
$Assignment = 'syncops Main Street impersonation'
# What was there before each change is kept in this file; the undo script reads it.
$UndoFile = 'syncops-undo-Main-Street.csv'
# Exchange's cmdlets look at the session's preference, not at a script's own; it is set back at the end.
$Preference = $global:ErrorActionPreference
$global:ErrorActionPreference = 'Stop'
try {

$script:Failed = 0

# Runs one step; a failure is said and does not stop the others.
function Step([scriptblock]$Do) {
    try { & $Do } catch { Write-Warning $_; $script:Failed += 1 }
}

# Keeps what stands before a change, before the change is made.
function Save-Before([string]$Step, [string]$Mailbox, [string]$What, [string]$Before) {
    $row = [pscustomobject]@{ Step = $Step; Mailbox = $Mailbox; What = $What; Before = $Before }
    $row | Export-Csv -Path $UndoFile -Append -NoTypeInformation -Encoding UTF8
}

# A group holds the accounts, a scope is made of the group: the service account may act for its direct members only.
if ($null -eq (Get-DistributionGroup -Identity $Group -ErrorAction SilentlyContinue)) {
    Save-Before 'group' '' $Group ''
    New-DistributionGroup -Name $Group -Type Security | Out-Null
}
$members = (Get-DistributionGroup -Identity $Group).DistinguishedName
$filter = "MemberOfGroup -eq '" + $members.Replace("'", "''") + "'"
$scope = Get-ManagementScope -Identity $Group -ErrorAction SilentlyContinue
if ($null -eq $scope) {
    Save-Before 'scope' '' $Group ''
    New-ManagementScope -Name $Group -RecipientRestrictionFilter $filter | Out-Null
}

# Makes a mailbox one of those that the service account may act for.
function Add-Account([string]$Mailbox) {
    $address = (Get-Mailbox -Identity $Mailbox).PrimarySmtpAddress
    $there = Get-DistributionGroupMember -Identity $Group -ResultSize Unlimited |
        Where-Object { $_.PrimarySmtpAddress -eq $address }
    if ($null -ne $there) { return }
    Save-Before 'member' $Mailbox $Group ''
    Add-DistributionGroupMember -Identity $Group -Member $Mailbox -BypassSecurityGroupManagerCheck
}

# Exchange Online withdrew ApplicationImpersonation in February 2025. The application gets the role instead, restricted to the scope.
# The object id is the enterprise application's (Entra > Enterprise applications), not the app registration's.
$ApplicationId = '11111111-2222-4333-8444-555555555555'
$EnterpriseObjectId = '99999999-8888-4777-8666-555555555555'
if ($EnterpriseObjectId -eq '') { $EnterpriseObjectId = Read-Host 'Object id of the enterprise application' }
if ($null -eq (Get-ServicePrincipal -Identity $EnterpriseObjectId -ErrorAction SilentlyContinue)) {
    Save-Before 'service-principal' '' $EnterpriseObjectId ''
    New-ServicePrincipal -AppId $ApplicationId -ObjectId $EnterpriseObjectId -DisplayName 'Main Street' | Out-Null
}
if ($null -eq (Get-ManagementRoleAssignment -Identity $Assignment -ErrorAction SilentlyContinue)) {
    Save-Before 'assignment' '' $Assignment ''
    New-ManagementRoleAssignment -Name $Assignment -App $EnterpriseObjectId -Role 'Application EWS.AccessAsApp' -CustomResourceScope $Group | Out-Null
}
# By hand, in Entra: take back the application's consent to full_access_as_app. With it, the scope has no effect.
# It takes up to two hours until this shows. The application must also be in EwsAllowedAppIDs:
#   Get-OrganizationConfig -RetrieveEwsOperationAccessPolicy | Format-List EwsEnabled,EwsAllowedAppIDs

# ---- what is missing ----
Step { Add-Account 'anna@example.test' }
Step { Add-Account 'bob@example.test' }
Step { Add-Account 'o''brien@example.test' }
if ($script:Failed -gt 0) { Write-Warning ([string]$script:Failed + ' steps failed; the others are done. Run it again when mended.') }
} finally { $global:ErrorActionPreference = $Preference }
